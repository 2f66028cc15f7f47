//! Rego with the grants as data, compiled for the register machine.
use std::collections::BTreeMap;
use std::marker::PhantomData;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine as Frontend, Value};

use crate::engine::Engine;
use crate::workload::{Question, Service, World};

const ENTRY: &str = "data.nexus.allow";

/// How a policy and its questions are written for the register machine.
pub trait Form {
    /// The rule.
    const RULE: &'static str;
    /// One of the two tables: a service's names, or whatever the rule looks up.
    fn table(source: &[Row], list: fn(&Row) -> &[String]) -> Value;
    /// A question.
    fn input(subject: u64, name: &str) -> Value;
}

/// Subject and capability as fields of an object, as any manual shows it.
pub struct Object;

impl Form for Object {
    const RULE: &'static str = "
  data.allow[input.subject][input.capability]
  not data.deny[input.subject][input.capability]";

    fn table(source: &[Row], list: fn(&Row) -> &[String]) -> Value {
        by_service(source, list, |id| Value::from(id.to_string()))
    }

    fn input(subject: u64, name: &str) -> Value {
        let subject = Value::from(subject.to_string());
        object([("subject", subject), ("capability", Value::from(name))])
    }
}

/// The same with the id as a number, which need not be formatted.
pub struct Numbered;

impl Form for Numbered {
    const RULE: &'static str = Object::RULE;

    fn table(source: &[Row], list: fn(&Row) -> &[String]) -> Value {
        by_service(source, list, |id| Value::from(id))
    }

    fn input(subject: u64, name: &str) -> Value {
        object([("subject", Value::from(subject)), ("capability", Value::from(name))])
    }
}

/// As a pair: cheaper to build than an object.
pub struct Array;

impl Form for Array {
    const RULE: &'static str = "
  data.allow[input[0]][input[1]]
  not data.deny[input[0]][input[1]]";

    fn table(source: &[Row], list: fn(&Row) -> &[String]) -> Value {
        by_service(source, list, |id| Value::from(id))
    }

    fn input(subject: u64, name: &str) -> Value {
        Value::from(vec![Value::from(subject), Value::from(name)])
    }
}

/// Joined into one text by whoever asks; the policy no longer sees who wants what.
pub struct Text;

impl Form for Text {
    const RULE: &'static str = "
  data.allow[input]
  not data.deny[input]";

    fn table(source: &[Row], list: fn(&Row) -> &[String]) -> Value {
        let of = |row: &Row| -> Vec<(Value, Value)> {
            let key = |name: &String| Value::from(format!("{} {name}", row.id));
            list(row).iter().map(|name| (key(name), Value::from(true))).collect()
        };
        Value::from(source.iter().flat_map(of).collect::<BTreeMap<_, _>>())
    }

    fn input(subject: u64, name: &str) -> Value {
        Value::from(format!("{subject} {name}"))
    }
}

/// A service with its families written out: the data of the data forms.
pub struct Row {
    /// Service id.
    pub id: u64,
    /// What an allowing rule covers.
    pub allow: Vec<String>,
    /// What a denying rule covers.
    pub deny: Vec<String>,
}

/// The data of the data forms.
pub fn rows(world: &World) -> Vec<Row> {
    let listed = |service: &Service, deny| -> Vec<String> {
        world.listed(service, deny).iter().map(|name| world.names[*name].clone()).collect()
    };
    let row = |service: &Service| Row {
        id: service.id,
        allow: listed(service, false),
        deny: listed(service, true),
    };
    world.services.iter().map(row).collect()
}

/// regorus, data form, register machine.
pub struct Rego<F>(RegoVM, PhantomData<F>);

fn by_service(source: &[Row], list: fn(&Row) -> &[String], key: fn(u64) -> Value) -> Value {
    let of = |row: &Row| {
        let names = list(row).iter().map(|name| (Value::from(name.as_str()), Value::from(true)));
        Value::from(names.collect::<BTreeMap<_, _>>())
    };
    let each = source.iter().map(|row| (key(row.id), of(row)));
    Value::from(each.collect::<BTreeMap<_, _>>())
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().map(|(key, value)| (Value::from(key), value));
    Value::from(fields.collect::<BTreeMap<_, _>>())
}

impl<F: Form> Engine for Rego<F> {
    type Source = Vec<Row>;
    type Query = Value;

    fn source(world: &World) -> Vec<Row> {
        rows(world)
    }

    fn load(source: &Vec<Row>) -> Self {
        let mut front = Frontend::new();
        let policy = format!(
            "package nexus\nimport rego.v1\ndefault allow := false\nallow if {{{}\n}}\n",
            F::RULE
        );
        front.add_policy("nexus.rego".to_owned(), policy).expect("a sound policy");
        let compiled = front.compile_with_entrypoint(&ENTRY.into()).expect("an entry point");
        let program = Compiler::compile_from_policy(&compiled, &[ENTRY]).expect("a program");
        let mut machine = RegoVM::new();
        machine.load_program(program);
        let allow = F::table(source, |row| &row.allow);
        let deny = F::table(source, |row| &row.deny);
        machine.set_data(object([("allow", allow), ("deny", deny)])).expect("plain data");
        machine.set_max_instructions(usize::MAX);
        Self(machine, PhantomData)
    }

    fn query(&self, question: &Question) -> Value {
        F::input(question.subject, &question.name)
    }

    #[inline]
    fn decide(&mut self, query: &Value) -> bool {
        self.0.set_input(query.clone());
        self.0.execute().is_ok_and(|answer| answer == Value::from(true))
    }
}
