//! `AWS::S3::..`: buckets and their policies.

use super::{Kind, Made, Reason, Services, Updated, Wish, reason, unless_gone};
use crate::services::cloudformation::stack::Record;
use crate::services::s3::answers::policy_text;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::S3::Bucket",
        properties: &["BucketName"],
        inert: &[
            "AccessControl",
            "BucketEncryption",
            "LifecycleConfiguration",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "Tags",
            "VersioningConfiguration",
        ],
    },
    Kind { name: "AWS::S3::BucketPolicy", properties: &["Bucket", "PolicyDocument"], inert: &[] },
];

pub(super) fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    if wish.kind == "AWS::S3::BucketPolicy" {
        let bucket = wish.need("Bucket")?;
        let policy = wish.get("PolicyDocument").map(policy_text);
        services.s3.set_policy(&bucket, policy).map_err(|failure| reason(&failure))?;
        return Ok(Made::new(bucket));
    }
    let name = match wish.text("BucketName") {
        Some(name) => name,
        None => wish.name("BucketName", 63).to_lowercase(),
    };
    match services.s3.create_bucket(&name) {
        Err(failure) => Err(reason(&failure)),
        Ok(false) => Err(format!("{name} already exists")),
        Ok(true) => {
            let region = &services.place.region;
            Ok(Made::new(&name)
                .with("Arn", format!("arn:aws:s3:::{name}"))
                .with("DomainName", format!("{name}.s3.amazonaws.com"))
                .with("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com"))
                .with("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com"))
                .with("WebsiteURL", format!("{}/{name}", services.place.endpoint())))
        }
    }
}

pub(super) fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    if wish.changed(record, "BucketName") || wish.changed(record, "Bucket") {
        return Ok(Updated::Replace);
    }
    if wish.kind == "AWS::S3::BucketPolicy" {
        let policy = wish.get("PolicyDocument").map(policy_text);
        services.s3.set_policy(&record.physical, policy).map_err(|failure| reason(&failure))?;
    }
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    unless_gone(match record.kind.as_str() {
        "AWS::S3::BucketPolicy" => services.s3.set_policy(&record.physical, None),
        _ => services.s3.delete_bucket(&record.physical),
    })
}
