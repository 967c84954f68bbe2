//! Decodes a job's payload; one that cannot be read is an ordinary value. With apalis' codec it is an error
//! of the queue, which ends the worker each time it is fetched.

use apalis_core::backend::codec::Codec;
use serde::ser::Error as _;

use crate::queue::Job;

/// A job, or why it could not be read.
pub(crate) struct Payload<J>(pub(crate) Result<J, serde_json::Error>);

/// JSON. Decoding never fails.
#[derive(Clone, Debug)]
pub(crate) struct PayloadCodec;

impl<J: Job> Codec<Payload<J>> for PayloadCodec {
    type Error = serde_json::Error;
    type Compact = Vec<u8>;

    fn encode(&self, payload: &Payload<J>) -> Result<Vec<u8>, Self::Error> {
        match &payload.0 {
            Ok(job) => serde_json::to_vec(job),
            Err(unreadable) => Err(serde_json::Error::custom(unreadable)),
        }
    }

    fn decode(&self, bytes: &Vec<u8>) -> Result<Payload<J>, Self::Error> {
        Ok(Payload(serde_json::from_slice(bytes)))
    }
}
