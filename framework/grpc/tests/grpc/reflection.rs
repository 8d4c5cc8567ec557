//! A client that knows nothing but the address.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use tonic::Request;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

use crate::shop::Shop;

async fn ask(shop: &Shop, request: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(shop.channel.clone());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut responses =
        client.server_reflection_info(Once(Some(request))).await.expect("reflection is served").into_inner();
    let response: Option<ServerReflectionResponse> = responses.message().await.expect("an answer");
    response.and_then(|response| response.message_response).expect("an answer with a message")
}

/// A stream of one request.
struct Once<T>(Option<T>);

impl<T: Unpin> futures::Stream for Once<T> {
    type Item = T;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<T>> {
        std::task::Poll::Ready(self.0.take())
    }
}

#[tokio::test]
async fn all_services_are_listed_in_both_versions() {
    let shop = Shop::open().await;
    let MessageResponse::ListServicesResponse(list) = ask(&shop, MessageRequest::ListServices(String::new())).await
    else {
        panic!("another answer");
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "potter.runtime.v1.Commands",
            "shop.v1.Catalogue",
            "shop.v1.Mirror"
        ]
    );

    let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(shop.channel.clone());
    let asked = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol("shop.v1.Mirror".to_owned());
    let asked = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let mut told = old.server_reflection_info(Once(Some(asked))).await.expect("served").into_inner();
    let told = told.message().await.expect("an answer").and_then(|told| told.message_response);
    let file = v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse;
    assert!(
        told.is_some_and(|told| std::mem::discriminant(&told) == std::mem::discriminant(&file(Default::default())))
    );
}

#[tokio::test]
async fn an_rpc_can_be_called_by_what_reflection_says() {
    let shop = Shop::open().await;
    let pool = reflected(&shop, "shop.v1.Mirror").await;
    let mirror = pool.get_service_by_name("shop.v1.Mirror").expect("reflected");
    let method = mirror.methods().find(|method| method.name() == "Reflect").expect("reflected");
    let mut message = DynamicMessage::new(method.input());
    message.set_field_by_name("text", Value::String("hello".to_owned()));
    let mut client = Grpc::new(shop.channel.clone());
    client.ready().await.expect("the server takes calls");
    let path = "/shop.v1.Mirror/Reflect".parse().expect("a path");
    let answer = client.unary(Request::new(message.clone()), path, Dynamic(method.output())).await.expect("answered");
    assert_eq!(answer.into_inner(), message);
}

/// The file of a symbol and all that it imports.
async fn reflected(shop: &Shop, symbol: &str) -> DescriptorPool {
    let mut files = Vec::new();
    let mut wanted = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
    while let Some(request) = wanted.pop() {
        let MessageResponse::FileDescriptorResponse(told) = ask(shop, request).await else { panic!("another answer") };
        for file in told.file_descriptor_proto {
            let file = prost_types::FileDescriptorProto::decode(file.as_slice()).expect("a file");
            wanted.extend(file.dependency.iter().cloned().map(MessageRequest::FileByFilename));
            files.insert(0, file);
        }
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files).expect("the files hold together");
    pool
}

/// Messages that are known by their descriptors only.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = tonic::Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        item.encode(buffer).map_err(|error| tonic::Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = tonic::Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, tonic::Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| tonic::Status::internal(error.to_string()))
    }
}
