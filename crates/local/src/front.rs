//! The front door: one port for every service, HTTP/1.1 and HTTP/2 without TLS.
//!
//! In:   connections on loopback. Out: a `Cloud`'s answers.
//! Rule: bodies, connections and the bytes in flight are bounded; what does not fit is told to come later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cloud::{AllStreams, Cloud};
use crate::config::LocalConfig;
use crate::http::{Failure, Protocol, Request};
use crate::ids;
use crate::lambda::receipts::Sink;
use crate::lambda::{Functions, Surroundings};
use crate::place::Place;
use crate::seams::{Kept, Streams};
use crate::services::apigateway::{ApiGateway, HttpApis};
use crate::services::beanstalk::Beanstalk;
use crate::services::cloudformation::{CloudFormation, Services};
use crate::services::dynamodb::{DynamoDb, Dynoxide};
use crate::services::iam::Iam;
use crate::services::kinesis::{Ferro, Kinesis};
use crate::services::logs::Logs;
use crate::services::s3::S3;
use crate::services::sns::Sns;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::upstream::Upstream;

/// The longest body: a zip of 50 MB in base64, or a part of an upload.
const BODY_BYTES_MAX: usize = 128 << 20;
/// All bodies that are being read or answered, in KiB.
const IN_FLIGHT_KIB_MAX: usize = 512 << 10;
const CONNECTIONS_MAX: usize = 1_024;
/// A body may pause this long.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long running requests may take when the door closes.
const GRACE: Duration = Duration::from_secs(3);

/// Why the local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or no port of this machine.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// State of before cannot be taken back.
    #[error(transparent)]
    State(#[from] SnapshotError),
    /// The emulator of a service cannot open its state.
    #[error("cannot open the state of {service}: {reason}")]
    Emulator {
        /// Which service.
        service: &'static str,
        /// What it says.
        reason: String,
    },
    /// The Lambda service has no folder to work in.
    #[error("cannot start the Lambda service: {0}")]
    Lambda(std::io::Error),
    /// An address is no address.
    #[error("{0}")]
    Address(String),
}

/// A local cloud whose door is open.
pub struct Running {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Opens the door. Returns as soon as requests are taken.
pub async fn run(config: LocalConfig) -> Result<Running, StartError> {
    let bind = |source| StartError::Bind { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the local cloud can be reached from other machines, and trusts them");
    }
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (cloud, snapshot) = build(&config, address, &tasks, &stop).await?;
    let cloud = Arc::new(cloud);
    if let Some(snapshot) = snapshot {
        tasks.spawn(Arc::new(snapshot).run(stop.child_token()));
    }
    tracing::info!(%address, "the local cloud is open");
    // The door closes first, the snapshot is written last: see `Running::stop`.
    let door = stop.child_token();
    tasks.spawn(accept(listener, Arc::clone(&cloud), door));
    Ok(Running { address, cloud, stop, tasks })
}

impl Running {
    /// Where the door is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the door, ends every function process, and writes what changed.
    pub async fn stop(self) {
        // Functions first: what they still say is kept with the rest.
        self.cloud.functions.stop().await;
        self.cloud.beanstalk.stop().await;
        let settled = tokio::time::timeout(GRACE, self.cloud.cloudformation.settle()).await;
        if settled.is_err() {
            tracing::warn!("a stack operation was cut short");
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn build(
    config: &LocalConfig,
    address: SocketAddr,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(Cloud, Option<Snapshot>), StartError> {
    let place = Arc::new(Place::new(&config.region, &config.account));
    place.opened(address);
    let folder = |name: &str| config.data.as_ref().map(|data| data.join(name));
    if let Some(data) = &config.data {
        let io = |source| SnapshotError::Io { path: data.clone(), source };
        std::fs::create_dir_all(data).map_err(io)?;
    }
    let ferro = Ferro::open(&place, folder("kinesis"));
    if let Some(reason) = ferro.trouble() {
        return Err(StartError::Emulator { service: "Kinesis", reason });
    }
    let dynoxide = Dynoxide::open(folder("dynamodb.sqlite").as_deref())
        .map_err(|reason| StartError::Emulator { service: "DynamoDB", reason })?;
    let s3 = Arc::new(S3::new(&config.region, folder("s3")));
    let iam = Arc::new(Iam::new(Arc::clone(&place)));
    let logs = Arc::new(Logs::new(Arc::clone(&place)));
    let sns = Arc::new(Sns::new(Arc::clone(&place)));
    let kinesis = Arc::new(Kinesis::new(Box::new(ferro), Arc::clone(&place)));
    let dynamodb = Arc::new(DynamoDb::new(Arc::new(dynoxide), Arc::clone(&place)));
    let apigateway = Arc::new(ApiGateway::new(Arc::clone(&place)));
    let http_apis = Arc::new(HttpApis::new(Arc::clone(&place)));
    let receipts = match &config.throughline {
        Some(base) => Sink::to(base).map_err(StartError::Lambda)?,
        None => Sink::none(),
    };
    let streams = AllStreams {
        kinesis: Arc::clone(&kinesis),
        dynamodb: Arc::clone(&dynamodb),
        puts: either(&kinesis, &dynamodb, tasks, stop),
    };
    let functions = Functions::start(Surroundings {
        config: config.lambda.clone(),
        region: config.region.clone(),
        account: config.account.clone(),
        data: config.data.clone(),
        endpoint: place.endpoint(),
        xray_daemon: config.xray_daemon,
        logs: logs.clone(),
        blobs: s3.clone(),
        streams: Arc::new(streams),
        receipts: receipts.clone(),
    })
    .map_err(StartError::Lambda)?;
    let beanstalk = Arc::new(Beanstalk::new(
        Arc::clone(&place),
        Arc::clone(&s3),
        logs.clone(),
        config.xray_daemon,
        folder("beanstalk"),
    ));
    let cloudformation = Arc::new(CloudFormation::new(Services {
        place: Arc::clone(&place),
        s3: Arc::clone(&s3),
        iam: Arc::clone(&iam),
        logs: Arc::clone(&logs),
        sns: Arc::clone(&sns),
        kinesis: Arc::clone(&kinesis),
        dynamodb: Arc::clone(&dynamodb),
        apigateway: Arc::clone(&apigateway),
        http_apis: Arc::clone(&http_apis),
        functions: Arc::clone(&functions),
    }));
    let snapshot = match &config.data {
        None => None,
        Some(data) => {
            let parts: Vec<Arc<dyn Kept>> = vec![
                s3.clone(),
                iam.clone(),
                logs.clone(),
                sns.clone(),
                apigateway.clone(),
                http_apis.clone(),
                functions.clone(),
                cloudformation.clone(),
                beanstalk.clone(),
            ];
            let snapshot = Snapshot::open(data, parts)?;
            s3.sweep();
            Some(snapshot)
        }
    };
    functions.resume();
    beanstalk.resume();
    let other = |base: &Option<String>| base.as_deref().map(Upstream::new).transpose();
    let upstream = other(&config.upstream).map_err(StartError::Address)?;
    let throughline = other(&config.throughline).map_err(StartError::Address)?;
    let cloud = Cloud {
        place,
        s3,
        iam,
        logs,
        sns,
        kinesis,
        dynamodb,
        apigateway,
        http_apis,
        cloudformation,
        beanstalk,
        functions,
        receipts,
        upstream,
        throughline,
    };
    Ok((cloud, snapshot))
}

/// One receiver that changes when either service takes a record.
fn either(
    kinesis: &Kinesis,
    dynamodb: &DynamoDb,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> tokio::sync::watch::Receiver<u64> {
    let (mut first, mut second) = (kinesis.puts(), dynamodb.puts());
    let (sender, receiver) = tokio::sync::watch::channel(0_u64);
    let stop = stop.child_token();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = first.changed() => if changed.is_err() { return },
                changed = second.changed() => if changed.is_err() { return },
            }
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    });
    receiver
}

async fn accept(listener: TcpListener, cloud: Arc<Cloud>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_KIB_MAX));
    let running = TaskTracker::new();
    loop {
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(err) => {
                // Out of file handles, most likely: it passes.
                tracing::warn!(%err, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (cloud, in_flight) = (Arc::clone(&cloud), Arc::clone(&in_flight));
        let service = service_fn(move |request| {
            let (cloud, in_flight) = (Arc::clone(&cloud), Arc::clone(&in_flight));
            async move { Ok::<_, std::convert::Infallible>(serve(&cloud, &in_flight, request).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        running.spawn(async move {
            let _place = place;
            if let Err(err) = connection.await {
                tracing::debug!(%err, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("requests were cut short");
    }
}

async fn serve(
    cloud: &Cloud,
    in_flight: &Arc<Semaphore>,
    request: http::Request<Incoming>,
) -> http::Response<Full<Bytes>> {
    let request_id = ids::uuid();
    let (answer, _held) = match read(request, in_flight, &request_id).await {
        Ok((request, held)) => (cloud.answer(request).await, Some(held)),
        Err(failure) => (Protocol::RestJson.failure(&failure, &request_id), None),
    };
    answer.map(Full::new)
}

/// Reads a whole request; the permit stands for its bytes.
async fn read(
    request: http::Request<Incoming>,
    in_flight: &Arc<Semaphore>,
    request_id: &str,
) -> Result<(Request, OwnedSemaphorePermit), Failure> {
    let (mut parts, mut incoming) = request.into_parts();
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        // HTTP/2 names the host in the request line.
        parts.headers.entry(HOST).or_insert(host);
    }
    let too_large = || {
        let problem = format!("a body may have {BODY_BYTES_MAX} bytes");
        Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE.as_u16(),
            "RequestEntityTooLargeException",
            problem,
        )
    };
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let mut held = hold(in_flight, announced.unwrap_or(0))?;
    let mut covered = announced.unwrap_or(0);
    let mut body = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(BODY_PAUSE_MAX, incoming.frame()).await;
        let frame =
            frame.map_err(|_| Failure::new(408, "RequestTimeout", "the body did not arrive"))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|err| Failure::new(400, "IncompleteBody", err.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        if body.len() + data.len() > covered {
            held.merge(hold(in_flight, data.len())?);
            covered = body.len() + data.len();
        }
        body.extend_from_slice(&data);
    }
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        headers: parts.headers,
        body: body.freeze(),
        request_id: request_id.to_owned(),
    };
    Ok((request, held))
}

fn hold(in_flight: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
    let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
    Arc::clone(in_flight).try_acquire_many_owned(kib).map_err(|_| {
        Failure::new(503, "SlowDown", "the local cloud is reading too many bodies at once")
    })
}
