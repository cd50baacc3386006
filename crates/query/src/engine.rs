//! DataFusion, kept behind one function: batches in, a plan over them, batches out.
//!
//! Only for what needs all rows at once (orders other than newest first, counts of values). Looking
//! up a trace and newest-first search are quicker by hand, and stop early.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::RunError;

/// What all plans of the process together may hold in memory, in bytes. They never spill to disk.
pub(crate) const MEMORY_BYTES_MAX: usize = 256 << 20;

/// How many batches wait between reading chunks and the plan: one in work, one ready.
const BATCHES_WAITING_MAX: usize = 1;

/// Gives batches, one after the other, to a receiver that says whether it wants more.
pub(crate) type Fill =
    dyn Fn(&mut dyn FnMut(RecordBatch) -> bool) -> Result<(), RunError> + Send + Sync;

static CONTEXT: LazyLock<Result<SessionContext, String>> = LazyLock::new(|| {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_BYTES_MAX)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|err| err.to_string())?;
    let config = SessionConfig::new().with_target_partitions(1);
    Ok(SessionContext::new_with_config_rt(config, runtime))
});

/// Runs `plan` over the batches that `fill` gives and waits for the answer.
///
/// Safe to call from any thread, also one that drives async tasks: the plan runs on its own.
pub(crate) fn run(
    schema: &SchemaRef,
    fill: Arc<Fill>,
    plan: impl FnOnce(DataFrame) -> Result<DataFrame, DataFusionError> + Send,
) -> Result<Vec<RecordBatch>, RunError> {
    let context = CONTEXT.as_ref().map_err(|err| RunError::Engine(err.clone()))?;
    let source = Source { schema: schema.clone(), fill };
    let collect = || -> Result<Vec<RecordBatch>, DataFusionError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().max_blocking_threads(2).build()?;
        let table = StreamingTable::try_new(schema.clone(), vec![Arc::new(source)])?;
        let frame = plan(context.read_table(Arc::new(table))?)?;
        runtime.block_on(frame.collect())
    };
    std::thread::scope(|scope| match scope.spawn(collect).join() {
        Ok(batches) => batches.map_err(RunError::from),
        Err(_) => Err(RunError::Engine("the plan panicked".to_owned())),
    })
}

struct Source {
    schema: SchemaRef,
    fill: Arc<Fill>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("chunks")
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream =
            RecordBatchReceiverStream::builder(self.schema.clone(), BATCHES_WAITING_MAX);
        let (sender, fill) = (stream.tx(), self.fill.clone());
        stream.spawn_blocking(move || {
            fill(&mut |batch| sender.blocking_send(Ok(batch)).is_ok())
                .map_err(|err| DataFusionError::External(Box::new(err)))
        });
        stream.build()
    }
}

impl From<DataFusionError> for RunError {
    fn from(err: DataFusionError) -> Self {
        match err {
            DataFusionError::External(ours) => match ours.downcast::<Self>() {
                Ok(ours) => *ours,
                Err(other) => Self::Engine(other.to_string()),
            },
            DataFusionError::Context(_, inner) => Self::from(*inner),
            DataFusionError::ResourcesExhausted(_) => {
                Self::TooLarge { limit_bytes: MEMORY_BYTES_MAX }
            }
            other => Self::Engine(other.to_string()),
        }
    }
}
