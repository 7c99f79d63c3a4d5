//! The gRPC services. They check, ask and answer; what happens to a job is decided elsewhere.

mod accepting;
mod blobs;
mod errors;
mod fleet;
mod images;
mod jobs;
mod listing;

use std::sync::Arc;

use kiln_proto::MAX_MESSAGE_BYTES;
use kiln_proto::v1::blobs_server::BlobsServer;
use kiln_proto::v1::fleet_server::FleetServer;
use kiln_proto::v1::images_server::ImagesServer;
use kiln_proto::v1::jobs_server::JobsServer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::blobs::Blobs;
use crate::config::Config;
use crate::images::Images;
use crate::jobs::Dispatcher;
use crate::jobs::admission::Admission;
use crate::jobs::relays::Relays;
use crate::store::Store;

/// What every service works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) epoch: u64,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) admission: Admission,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) images: Images,
    pub(crate) relays: Relays,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// One implementation for all services.
#[derive(Clone)]
pub(crate) struct Api(Arc<Context>);

/// All services of `kiln.v1`, with their message limits.
pub(crate) fn routes(context: Arc<Context>) -> Routes {
    let api = Api(context);
    macro_rules! bounded {
        ($server:ident) => {
            $server::new(api.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        };
    }
    Routes::default()
        .add_service(bounded!(JobsServer))
        .add_service(bounded!(BlobsServer))
        .add_service(bounded!(ImagesServer))
        .add_service(bounded!(FleetServer))
}
