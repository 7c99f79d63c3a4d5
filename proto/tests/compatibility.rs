//! Keeps `kiln.v1` compatible from here on.
//!
//! `kiln.v1.binpb` is the contract as it was last agreed on. A removed, renumbered, renamed or retyped field, value, message or call breaks
//! clients that exist, and fails here. Additions are fine, but have to be recorded, so that they are kept from then on:
//!
//! ```text
//! KILN_REFRESH_DESCRIPTORS=1 cargo test -p kiln-proto --test compatibility
//! ```
//!
//! records the current contract, and refuses to when it breaks the recorded one.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kiln.v1.binpb");

/// Everything a client relies on, one fact per entry: what it is about -> what it says.
type Facts = BTreeMap<String, String>;

#[test]
fn the_recorded_contract_holds_and_is_complete() {
    let current = current();
    if std::env::var_os("KILN_REFRESH_DESCRIPTORS").is_some() {
        if std::path::Path::new(RECORDED).exists() {
            assert_eq!(
                broken(&recorded(), &current),
                Vec::<String>::new(),
                "an incompatible contract is not recorded"
            );
        }
        std::fs::write(RECORDED, current.encode_to_vec()).expect("the recorded contract is writable");
    }
    assert_eq!(broken(&recorded(), &current), Vec::<String>::new(), "clients that exist would break");
    let added = broken(&current, &recorded());
    assert_eq!(added, Vec::<String>::new(), "not recorded yet; see this file's documentation");
}

#[test]
fn each_kind_of_break_is_seen() {
    let good = current();
    type Break = fn(&mut FileDescriptorSet);
    let breaks: Vec<(&str, Break)> = vec![
        ("removed message", |set| job_file(set).message_type.retain(|message| message.name() != "Pipe")),
        ("renamed message", |set| message(set, "Pipe").name = Some("Tube".to_owned())),
        ("removed field", |set| message(set, "Pipe").field.truncate(1)),
        ("renumbered field", |set| message(set, "Pipe").field[0].number = Some(9)),
        ("renamed field", |set| message(set, "Pipe").field[0].name = Some("source".to_owned())),
        ("retyped field", |set| message(set, "Pipe").field[0].set_type(Type::Bytes)),
        ("relabelled field", |set| message(set, "Pipe").field[0].set_label(Label::Repeated)),
        ("field no longer optional", |set| message(set, "Limits").field[0].proto3_optional = None),
        ("field moved out of its oneof", |set| message(set, "Content").field[0].oneof_index = None),
        ("field of another message", |set| {
            message(set, "Command").field[5].type_name = Some(".kiln.v1.Pipe".to_owned())
        }),
        ("removed enum value", |set| job_file(set).enum_type[0].value.truncate(2)),
        ("renumbered enum value", |set| job_file(set).enum_type[0].value[1].number = Some(9)),
        ("removed call", |set| jobs_service(set).method.truncate(1)),
        ("call that no longer streams", |set| jobs_service(set).method[0].server_streaming = None),
        ("call with another request", |set| {
            jobs_service(set).method[0].input_type = Some(".kiln.v1.Pipe".to_owned())
        }),
        ("renamed service", |set| jobs_service(set).name = Some("Work".to_owned())),
        ("renamed package", |set| job_file(set).package = Some("kiln.v2".to_owned())),
    ];
    assert_eq!(broken(&good, &good), Vec::<String>::new());
    for (name, change) in breaks {
        let mut changed = good.clone();
        change(&mut changed);
        assert_ne!(broken(&good, &changed), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn an_addition_breaks_nothing() {
    let good = current();
    let mut more = good.clone();
    let field = FieldDescriptorProto {
        name: Some("extra".to_owned()),
        number: Some(99),
        ..message(&mut more, "Limits").field[0].clone()
    };
    message(&mut more, "Limits").field.push(field);
    assert_eq!(broken(&good, &more), Vec::<String>::new());
    assert_eq!(broken(&more, &good).len(), 1);
}

/// What `old` says and `new` does not say, or says otherwise.
fn broken(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let new = facts(new);
    let differs = |(about, was): (String, String)| match new.get(&about) {
        Some(is) if *is == was => None,
        Some(is) => Some(format!("{about}: was {was}, is {is}")),
        None => Some(format!("{about}: was {was}, is gone")),
    };
    facts(old).into_iter().filter_map(differs).collect()
}

fn facts(set: &FileDescriptorSet) -> Facts {
    let mut facts = Facts::new();
    for file in &set.file {
        let package = file.package();
        file.message_type.iter().for_each(|message| message_facts(message, package, &mut facts));
        file.enum_type.iter().for_each(|one| enum_facts(one, package, &mut facts));
        file.service.iter().for_each(|service| service_facts(service, package, &mut facts));
    }
    facts
}

fn message_facts(message: &DescriptorProto, within: &str, facts: &mut Facts) {
    let name = format!("{within}.{}", message.name());
    facts.insert(format!("message {name}"), "there".to_owned());
    for field in &message.field {
        let oneof = field.oneof_index.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        let says = format!(
            "{} {:?} {:?} {} optional={} oneof={}",
            field.name(),
            field.label(),
            field.r#type(),
            field.type_name(),
            field.proto3_optional(),
            oneof.map_or("", |oneof| oneof.name())
        );
        facts.insert(format!("field {name} = {}", field.number()), says);
    }
    message.nested_type.iter().for_each(|nested| message_facts(nested, &name, facts));
    message.enum_type.iter().for_each(|nested| enum_facts(nested, &name, facts));
}

fn enum_facts(one: &EnumDescriptorProto, within: &str, facts: &mut Facts) {
    let name = format!("{within}.{}", one.name());
    facts.insert(format!("enum {name}"), "there".to_owned());
    for value in &one.value {
        facts.insert(format!("value {name} = {}", value.number()), value.name().to_owned());
    }
}

fn service_facts(service: &ServiceDescriptorProto, within: &str, facts: &mut Facts) {
    for method in &service.method {
        let says = format!(
            "{} (stream {}) -> {} (stream {})",
            method.input_type(),
            method.client_streaming(),
            method.output_type(),
            method.server_streaming()
        );
        facts.insert(format!("call {within}.{}/{}", service.name(), method.name()), says);
    }
}

/// The contract of this tree, without comments and positions.
fn current() -> FileDescriptorSet {
    let mut set = FileDescriptorSet::decode(kiln_proto::DESCRIPTOR_SET).expect("the build wrote it");
    set.file.iter_mut().for_each(|file| file.source_code_info = None);
    set
}

fn recorded() -> FileDescriptorSet {
    let bytes = std::fs::read(RECORDED).expect("the recorded contract is checked in");
    FileDescriptorSet::decode(bytes.as_slice()).expect("the recorded contract is a descriptor set")
}

fn job_file(set: &mut FileDescriptorSet) -> &mut prost_types::FileDescriptorProto {
    set.file.iter_mut().find(|file| file.name() == "kiln/v1/job.proto").expect("job.proto is there")
}

fn message<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
    job_file(set)
        .message_type
        .iter_mut()
        .find(|message| message.name() == name)
        .expect("the message is there")
}

fn jobs_service(set: &mut FileDescriptorSet) -> &mut ServiceDescriptorProto {
    let mut services = set.file.iter_mut().flat_map(|file| &mut file.service);
    services.find(|service| service.name() == "Jobs").expect("the service is there")
}
