// A bundle as small as one can be.
require('http').createServer((_, answer) => answer.end('first version')).listen(process.env.PORT, '127.0.0.1');
