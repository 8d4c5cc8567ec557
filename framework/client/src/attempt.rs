//! Sends one call, as often as it takes and its deadline allows.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use std::marker::PhantomData;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::connection::Connection;
use crate::error::Failure;
use crate::retry::{Retries, may_repeat};
use crate::status::{self, Failed};

/// A call, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// `/product.ProductService/CreateProduct`
    pub(crate) path: &'static str,
    /// Protobuf bytes, encoded once for all tries.
    pub(crate) body: Bytes,
    /// The same for all tries.
    pub(crate) metadata: MetadataMap,
    /// For all tries together.
    pub(crate) timeout: Duration,
    pub(crate) retries: Retries,
    /// Whether a repeat does no harm.
    pub(crate) repeatable: bool,
}

/// Sends `call` and tries again where [`may_repeat`] allows it.
pub(crate) async fn send<R>(connection: &Connection, call: &Outgoing) -> Result<Response<R>, Failed>
where
    R: Message + Default + 'static,
{
    let deadline = Instant::now() + call.timeout;
    let mut delays = call.retries.delays();
    loop {
        let failed = match once(connection, call, deadline).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let Some(delay) = next_delay(&failed, call, &mut delays, deadline) else { return Err(failed) };
        tracing::debug!(rpc = call.path, error = %failed.failure, ?delay, "trying again");
        sleep(delay).await;
    }
}

/// How long to wait before the next try; `None`: there is none.
fn next_delay(
    failed: &Failed,
    call: &Outgoing,
    delays: &mut impl Iterator<Item = Duration>,
    deadline: Instant,
) -> Option<Duration> {
    if !may_repeat(&failed.failure, failed.reach, call.repeatable) {
        return None;
    }
    let delay = delays.next()?.max(failed.failure.retry_after.unwrap_or_default());
    // The failure says more than a passed deadline would.
    (Instant::now() + delay < deadline).then_some(delay)
}

/// One try. The service is told the deadline, and it holds here even if nothing is heard of the service.
async fn once<R>(connection: &Connection, call: &Outgoing, deadline: Instant) -> Result<Response<R>, Failed>
where
    R: Message + Default + 'static,
{
    let request = request(call, deadline);
    match timeout_at(deadline, unary(connection, call.path, request)).await {
        Ok(answer) => answer.map_err(|status| status::read(&status, connection.address())),
        Err(_) => Err(Failed::unknown(Failure::deadline_exceeded(format!(
            "{} did not answer within {:?}",
            connection.address(),
            call.timeout
        )))),
    }
}

fn request(call: &Outgoing, deadline: Instant) -> Request<Bytes> {
    let mut request = Request::new(call.body.clone());
    *request.metadata_mut() = call.metadata.clone();
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    request
}

async fn unary<R>(connection: &Connection, path: &'static str, request: Request<Bytes>) -> Result<Response<R>, Status>
where
    R: Message + Default + 'static,
{
    let mut grpc =
        tonic::client::Grpc::new(connection.channel()).max_decoding_message_size(connection.settings().largest_reply);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    grpc.unary(request, PathAndQuery::from_static(path), EncodedCodec(PhantomData)).await
}

/// Sends bytes that are encoded already, reads `R`.
struct EncodedCodec<R>(PhantomData<fn() -> R>);

struct EncodedEncoder;

struct MessageDecoder<R>(PhantomData<fn() -> R>);

impl<R: Message + Default + 'static> Codec for EncodedCodec<R> {
    type Encode = Bytes;
    type Decode = R;
    type Encoder = EncodedEncoder;
    type Decoder = MessageDecoder<R>;

    fn encoder(&mut self) -> Self::Encoder {
        EncodedEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

impl Encoder for EncodedEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.remaining());
        buffer.put(item);
        Ok(())
    }
}

impl<R: Message + Default> Decoder for MessageDecoder<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        R::decode(buffer).map(Some).map_err(|error| Status::internal(format!("cannot read the reply: {error}")))
    }
}
