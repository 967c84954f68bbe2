//! OpenAPI schemas for types of the domain, which does not depend on OpenAPI.

use domain::{FailureCode, OrderStatus, PaymentMethod, PaymentStatus};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! string_enums {
    ($($name:ident = $values:ty as $title:literal;)+) => {$(
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let values = <$values>::ALL.iter().map(|value| value.as_str());
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $title.into()
            }
        }
    )+};
}

string_enums! {
    Status = OrderStatus as "OrderStatus";
    Method = PaymentMethod as "PaymentMethod";
    PaymentState = PaymentStatus as "PaymentStatus";
    Code = FailureCode as "FailureCode";
}

/// Why an order, or an attempt at it, failed.
#[derive(ToSchema)]
#[schema(as = Failure)]
#[expect(dead_code, reason = "only a schema: responses hold the domain's type")]
pub(crate) struct FailureBody {
    #[schema(value_type = Code)]
    code: FailureCode,
    /// What happened, for a person.
    detail: String,
}
