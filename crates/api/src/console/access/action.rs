//! A form that changes something: of this origin, of this session, and of an operator who may.

use actix_web::dev::Payload;
use actix_web::web::Form;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::operator::{Act, Operator, Permission};
use super::origin::require_same_origin;
use crate::problem::Problem;

/// The fields of a form, and its operator.
pub(crate) struct Action<P = Act> {
    pub(crate) operator: Operator<P>,
    fields: Vec<(String, String)>,
}

impl<P> Action<P> {
    /// The first field with this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(key, _)| key == name);
        field.map(|(_, value)| value.as_str())
    }

    /// All fields with this name.
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }
}

impl<P: Permission> FromRequest for Action<P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = Form::<Vec<(String, String)>>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            require_same_origin(&request)?;
            let operator = Operator::of(&request).await?;
            let fields = form
                .await
                .map_err(|_| Problem::bad_request("The form could not be read."))?;
            let action = Self {
                operator,
                fields: fields.into_inner(),
            };
            action
                .operator
                .check_csrf(action.field("csrf").unwrap_or_default())?;
            Ok(action)
        })
    }
}
