//! The sample service of the transports' tests as a process, for the tests that freeze and kill one.

use potter::dispatch::Options;
use potter::http::{Body, Rest, Route};
use potter::retries::Retries;

const ROUTES: &[Route] = &[
    route("POST", "/products", "shop.v1.Catalogue/CreateProduct", Body::All),
    route("POST", "/products:import", "shop.v1.Catalogue/ImportProduct", Body::All),
    route("PUT", "/products/{product_id}", "shop.v1.Catalogue/UpdateProduct", Body::All),
    route("POST", "/products/{product_id}/reserve", "shop.v1.Catalogue/ReserveStock", Body::All),
    route("GET", "/products", "shop.v1.Catalogue/ListProducts", Body::None),
];

const fn route(method: &'static str, path: &'static str, rpc: &'static str, body: Body) -> Route {
    Route { method, path, rpc, body, response_body: None }
}

fn main() -> std::process::ExitCode {
    // What is sold out stays so: nobody restocks.
    let options = Options { retries: Retries::none(), ..Options::default() };
    potter::App::new(potter_sample::module()).options(options).rest(Rest::new(ROUTES)).nats().run()
}
