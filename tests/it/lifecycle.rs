//! From apply to delete: the life of one object on one connection.

use serde_json::json;
use upstream_params_operator::api::upstream_params::ParamState;

use crate::support::{self, has_finalizer, states};

#[tokio::test]
async fn an_object_is_carried_out_edited_and_deleted_and_the_rest_of_the_connection_never_changes() {
    let scope = support::shared().scope("life").await;
    scope.connection("wordpress", "wordpress", json!({"upstream_params": {"theirs": {"value": "kept"}}}));
    let before = scope.auth0.connection("wordpress");

    scope.create("blog", json!({"connection": {"name": "wordpress"}, "params": {"blog": {"value": "myblog.wordpress.com"}, "screen_name": {"alias": "login_hint"}}})).await;
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    scope.assert_connection(
        &before,
        "wordpress",
        &json!({"theirs": {"value": "kept"}, "blog": {"value": "myblog.wordpress.com"}, "screen_name": {"alias": "login_hint"}}),
    );
    assert_eq!(scope.auth0.writes().len(), 1);

    scope.edit("blog", json!({"params": {"blog": {"value": "another.wordpress.com"}, "screen_name": null}})).await;
    scope.until("blog", "one parameter, ready", |object| support::is(object, "Ready", "True", "Ready") && states(object).len() == 1).await;
    scope.assert_connection(&before, "wordpress", &json!({"theirs": {"value": "kept"}, "blog": {"value": "another.wordpress.com"}}));
    scope.until_state("blog", "blog", ParamState::InSync).await;

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(&before, "wordpress", &json!({"theirs": {"value": "kept"}}));
    assert_eq!(scope.auth0.writes().len(), 3);
}
