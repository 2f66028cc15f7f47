//! Cedar with the grants as data: two policies, whatever the number of services.
use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};

use super::regorus::{Row, rows};
use crate::engine::Engine;
use crate::workload::{Question, World};

const POLICIES: &str = "
permit(principal, action, resource) when { principal.allow.contains(resource) };
forbid(principal, action, resource) when { principal.deny.contains(resource) };
";

/// cedar-policy, data form.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).expect("a type name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn names(list: &[String]) -> RestrictedExpression {
    let each = list.iter().map(|name| uid("Capability", name));
    RestrictedExpression::new_set(each.map(RestrictedExpression::new_entity_uid))
}

impl Engine for Cedar {
    type Source = Vec<Row>;
    type Query = Request;

    fn source(world: &World) -> Vec<Row> {
        rows(world)
    }

    fn load(source: &Vec<Row>) -> Self {
        let entity = |row: &Row| {
            let lists = [("allow", names(&row.allow)), ("deny", names(&row.deny))];
            let attributes: HashMap<String, RestrictedExpression> =
                lists.into_iter().map(|(key, list)| (key.to_owned(), list)).collect();
            Entity::new(uid("Service", &row.id.to_string()), attributes, HashSet::new())
                .expect("plain attributes")
        };
        Self {
            authorizer: Authorizer::new(),
            policies: POLICIES.parse().expect("two policies"),
            entities: Entities::from_entities(source.iter().map(entity), None)
                .expect("no duplicates"),
        }
    }

    fn query(&self, question: &Question) -> Request {
        let principal = uid("Service", &question.subject.to_string());
        let resource = uid("Capability", &question.name);
        Request::new(principal, uid("Action", "use"), resource, Context::empty(), None)
            .expect("no schema to violate")
    }

    #[inline]
    fn decide(&mut self, query: &Request) -> bool {
        let answer = self.authorizer.is_authorized(query, &self.policies, &self.entities);
        answer.decision() == Decision::Allow
    }
}
