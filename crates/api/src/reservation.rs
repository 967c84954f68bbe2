//! What a process, and one customer, may hold at a time: memory for bodies, and open streams. Each is a
//! counter of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use domain::CustomerId;

use crate::problem::Problem;

/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    total: usize,
    per_customer: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    /// Only customers that hold something.
    by_customer: HashMap<CustomerId, usize>,
}

/// A part of a [`Limit`], until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    limit: Limit,
    /// `None` without authentication: then all requests are from one customer, whose share is the whole.
    customer: Option<CustomerId>,
    amount: usize,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// The customer's share; it is the same for all customers.
    Customer(usize),
    /// The share of all.
    Total,
}

impl Limit {
    pub(crate) fn new(total: usize, per_customer: usize) -> Self {
        Self {
            total,
            per_customer,
            held: Arc::default(),
        }
    }

    pub(crate) fn reserve(
        &self,
        customer: Option<&CustomerId>,
        amount: usize,
    ) -> Result<Reservation, Exceeded> {
        let mut held = self.held();
        let of_customer = customer.and_then(|customer| held.by_customer.get(customer));
        let own = of_customer.copied().unwrap_or_default().saturating_add(amount);
        let total = held.total.saturating_add(amount);
        if customer.is_some() && own > self.per_customer {
            return Err(Exceeded::Customer(self.per_customer));
        }
        if total > self.total {
            return Err(Exceeded::Total);
        }
        held.total = total;
        if let Some(customer) = customer {
            held.by_customer.insert(customer.clone(), own);
        }
        Ok(Reservation {
            limit: self.clone(),
            customer: customer.cloned(),
            amount,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.limit.held();
        held.total = held.total.saturating_sub(self.amount);
        if let Some(customer) = &self.customer
            && let Some(own) = held.by_customer.get_mut(customer)
        {
            *own = own.saturating_sub(self.amount);
            if *own == 0 {
                held.by_customer.remove(customer);
            }
        }
    }
}

impl Exceeded {
    /// 429 with Retry-After, of so many `things` that the customer or all together hold.
    pub(crate) fn problem(self, things: &str) -> Problem {
        let detail = match self {
            Self::Customer(most) => {
                format!("A customer may have {most} {things} at a time. Try again later.")
            }
            Self::Total => format!("The service has too many {things}. Try again later."),
        };
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_soon()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_cannot_take_the_share_of_others() {
        let limit = Limit::new(5, 2);
        let [ada, grace] = ["ada", "grace"].map(|name| CustomerId::new(name).unwrap());
        let reserve = |customer: &CustomerId, amount| limit.reserve(Some(customer), amount);
        let first = reserve(&ada, 2).unwrap();
        assert_eq!(reserve(&ada, 1).unwrap_err(), Exceeded::Customer(2));
        let _second = reserve(&grace, 2).unwrap();
        let unknown = limit.reserve(None, 1).unwrap();
        assert_eq!(limit.reserve(None, 1).unwrap_err(), Exceeded::Total);
        drop((first, unknown));
        let _third = reserve(&ada, 2).unwrap();
        assert_eq!(limit.held().by_customer.len(), 2);
        assert_eq!(limit.held().total, 4);
    }
}
