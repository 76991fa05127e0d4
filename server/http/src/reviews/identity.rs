//! Who am I, and whose token is this (rows I10, I11)?

use super::{frame, text, texts, user_info};
use crate::call::{Call, now};
use otternauts_meta::Status;
use serde_json::{Value, json};

const GROUP: &str = "authentication.k8s.io";

/// SelfSubjectReview.
pub fn self_review(call: &Call) -> Value {
    let mut answer = frame(GROUP, "SelfSubjectReview", json!({"creationTimestamp": now().to_string()}));
    answer.insert("status".to_owned(), json!({"userInfo": user_info(&call.caller.user)}));
    answer.into()
}

/// TokenReview. A bad token is no error of the request.
pub async fn token_review(call: &Call, spec: &Value) -> Result<Value, Status> {
    let token = text(spec, "token");
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let status = match call.parts.authenticator.token(token, &texts(spec, "audiences")).await {
        Some((user, audiences)) => {
            let mut status = json!({"authenticated": true, "user": user_info(&user)});
            if !audiences.is_empty() {
                status["audiences"] = json!(audiences);
            }
            status
        }
        None => json!({"user": {}, "error": "invalid bearer token"}),
    };
    let mut answer = frame(GROUP, "TokenReview", json!({}));
    answer.insert("spec".to_owned(), spec.clone());
    answer.insert("status".to_owned(), status);
    Ok(answer.into())
}
