// XrayReinventBuilderLambda: adds a sign-up to the table, if its address is new, and tells the topic.
//
// In:   { email, name }. Out: { email }.
// Fails with the table's ConditionalCheckFailedException when the address is there already: the trace shows where.
'use strict';

const xray = require('aws-xray-sdk-core');
const AWS = xray.captureAWS(require('aws-sdk'));

const { TABLE_NAME, TOPIC_ARN } = process.env;
const table = new AWS.DynamoDB();
const topic = new AWS.SNS();

exports.handler = async ({ email, name }) => {
  await xray.captureAsyncFunc('write entry', async (part) => {
    part?.addAnnotation('email', email);
    try {
      await table
        .putItem({
          TableName: TABLE_NAME,
          Item: { email: { S: email }, name: { S: name } },
          ConditionExpression: 'attribute_not_exists(email)',
        })
        .promise();
      part?.close();
    } catch (error) {
      part?.close(error);
      throw error;
    }
  });
  await topic.publish({ TopicArn: TOPIC_ARN, Subject: 'A sign-up', Message: `${name} signed up as ${email}` }).promise();
  console.log('one more signed up');
  return { email };
};
