//! From apply to delete: the life of one object on one connection.

use test_support::World;
use test_support::manifest::{edit, on, theirs};
use test_support::status::{has_finalizer, is, states};
use upstream_params_operator::api::upstream_params::ParamState;

#[tokio::test]
async fn an_object_is_carried_out_edited_and_deleted_and_the_rest_of_the_connection_never_changes() {
    let scope = World::shared().scope("life").await;
    scope.connection_of("wordpress", "wordpress", theirs());
    let before = scope.auth0.connection("wordpress");

    scope.create("blog", on("wordpress").value("blog", "myblog.wordpress.com").alias("screen_name", "login_hint")).await;
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    scope.assert_connection(&before, "wordpress", &theirs().value("blog", "myblog.wordpress.com").alias("screen_name", "login_hint"));
    assert_eq!(scope.auth0.writes().len(), 1);

    scope.edit("blog", edit().value("blog", "another.wordpress.com").without("screen_name")).await;
    scope.until("blog", "one parameter, ready", |object| is(object, "Ready", "True", "Ready") && states(object).len() == 1).await;
    scope.assert_connection(&before, "wordpress", &theirs().value("blog", "another.wordpress.com"));
    scope.until_state("blog", "blog", ParamState::InSync).await;

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(&before, "wordpress", &theirs());
    assert_eq!(scope.auth0.writes().len(), 3);
}
