//! The operator is killed at its writes, on real nodes. Source: operator spec 13.1.
//!
//! In the usual form one cluster lives through all scenarios, and the operator dies at every write that it gets to: the one that
//! died with it is let through when it comes again, the next kills. With `NSQ_CRASH_EACH` (`cargo xtask crash-operator`) there
//! is a life for each number of a write, in which the operator dies at that one write of each scenario.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use nsq_testbed::{BOUND, Call, Cluster, Fault, Namespace, Operator, Proxy};
use nsq_testkit::{eventually, request};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::nodes::{await_settled, fill, quick, scale};
use crate::rendered_with_hashes;

/// Deaths in one scenario; one that needs more makes no progress.
const DEATHS: u32 = 80;
/// Makes a life for each number of a write.
const EACH: &str = "NSQ_CRASH_EACH";

/// Whether the server has heard of the write at which the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// The writes at which it dies.
#[derive(Clone, Copy, Debug)]
enum At {
    Every,
    Number(u32),
}

#[test]
fn op_173_an_operator_that_dies_before_each_write_reaches_the_same_end() {
    lives(Side::Before);
}

#[test]
fn op_173_an_operator_that_dies_after_each_write_reaches_the_same_end() {
    lives(Side::After);
}

fn lives(side: Side) {
    if std::env::var_os(EACH).is_none() {
        let deaths = Life::new(side, At::Every).live();
        assert!(deaths > 40, "{deaths}");
        return;
    }
    let mut number = 1;
    while Life::new(side, At::Number(number)).live() > 0 {
        number += 1;
    }
}

/// What the operator did in front of the proxy that has to be judged afterwards.
#[derive(Debug, Default)]
struct Witness {
    /// Messages of nsqd-1 and nsqd-2 whenever the StatefulSet was written.
    left: Vec<(u64, u64)>,
    /// Claims that were deleted.
    claims: BTreeSet<String>,
}

/// A cluster `demo` and its operator, which dies.
struct Life {
    operator: Operator,
    proxy: Proxy,
    namespace: Namespace,
    side: Side,
    at: At,
    spec: Value,
    witness: Arc<Mutex<Witness>>,
    deaths: u32,
}

const FLAGS: [&str; 3] = ["--leader-elect=false", "--debounce", "50ms"];

impl Life {
    fn new(side: Side, at: At) -> Self {
        let namespace = Cluster::nodes().namespace("op-173");
        let proxy = Proxy::start(namespace.cluster());
        let operator = Operator::start_as(&namespace, proxy.kubeconfig(), &FLAGS);
        let mut spec = quick(2);
        spec["lookupd"]["replicas"] = 2.into();
        spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "Always"});
        spec["nsqd"]["storage"]["whenScaled"] = "DeleteIfDrained".into();
        Self {
            operator,
            proxy,
            namespace,
            side,
            at,
            spec,
            witness: Arc::default(),
            deaths: 0,
        }
    }

    /// All scenarios; gives the number of deaths.
    fn live(mut self) -> u32 {
        self.change("create", |_| {});
        let first = self.uids();
        self.change("rollout", |spec| {
            spec["nsqd"]["options"]["maxRdyCount"] = 3000.into();
        });
        self.change("nsqlookupd removal", |spec| {
            spec["lookupd"]["replicas"] = 1.into();
        });
        self.change("grow", |spec| spec["nsqd"]["storage"]["size"] = "2Gi".into());
        let claim = self
            .proxy
            .read(&self.path("/api/v1", "persistentvolumeclaims/data-demo-nsqd-1"));
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "2Gi");
        self.topic();
        self.change("scale-up", |spec| spec["nsqd"]["replicas"] = 3.into());
        self.drain();
        // Whatever is still there was never made anew.
        let last = self.uids();
        let gone: Vec<_> = first.difference(&last).collect();
        let meant = |gone: &&String| gone.contains("nsqlookupd-1") || gone.contains("ConfigMap demo-nsqd-");
        assert!(
            gone.iter()
                .all(|gone| meant(gone) || gone.contains("data-demo-nsqd-1")),
            "{gone:?}"
        );
        self.deaths
    }

    fn change(&mut self, what: &str, change: impl FnOnce(&mut Value)) {
        change(&mut self.spec);
        let spec = self.spec.clone();
        self.through(what, |namespace| namespace.apply_cluster("demo", &spec), |_| true);
    }

    /// Messages that nobody consumes go to the node that stays.
    fn drain(&mut self) {
        for pod in ["demo-nsqd-0", "demo-nsqd-1", "demo-nsqd-2"] {
            fill(&self.namespace, pod, "t", "c", 40);
        }
        self.witness.lock().unwrap().left.clear();
        self.spec["nsqd"]["replicas"] = 1.into();
        self.through("drain", |namespace| scale(namespace, 1), |_| true);
        let witness = self.witness.lock().unwrap();
        let (first, last) = (witness.left.first().unwrap(), witness.left.last().unwrap());
        assert_eq!((first.1, last.0), (0, 0), "{witness:?}");
        let drained = ["data-demo-nsqd-1", "data-demo-nsqd-2"];
        assert!(
            witness.claims.iter().all(|name| drained.contains(&name.as_str())),
            "{witness:?}"
        );
        drop(witness);
        let mut consumer = self.namespace.connect("demo-nsqd-0");
        consumer.subscribe("t", "c");
        consumer.command("RDY 100");
        let mut got = BTreeSet::new();
        while got.len() < 120 {
            let message = consumer.message();
            got.insert(message.body.clone());
            consumer.finish(&message);
        }
    }

    /// A topic is declared and deleted with its policy.
    fn topic(&mut self) {
        let object = "{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {name: gone}, \
             spec: {clusterName: demo, deletionPolicy: Delete}}";
        let ready = |path: &str, proxy: &Proxy| {
            let conditions = proxy.read(path)["status"]["conditions"].clone();
            let mut conditions = conditions.as_array().cloned().unwrap_or_default().into_iter();
            conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let path = self.path("/apis/nsq.rs/v1alpha1", "nsqtopics/gone");
        self.through(
            "topic",
            |namespace| namespace.apply(object),
            |proxy| ready(&path, proxy),
        );
        let delete = |namespace: &Namespace| {
            namespace.kubectl(&["delete", "nsqtopic", "gone", "--wait=false"]);
        };
        self.through("topic delete", delete, |proxy| proxy.read(&path)["code"] == 404);
        for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
            let stats = self
                .namespace
                .ask(pod, "GET", "/stats?format=json&topic=gone")
                .json();
            assert!(
                stats["topics"].as_array().is_none_or(Vec::is_empty),
                "{pod}: {stats}"
            );
        }
    }

    fn path(&self, api: &str, rest: &str) -> String {
        format!("{api}/namespaces/{}/{rest}", self.namespace.name())
    }

    /// Acts, and lets the operator die at its writes until the cluster is as it should be.
    #[track_caller]
    fn through(&mut self, what: &str, act: impl FnOnce(&Namespace), and: impl Fn(&Proxy) -> bool) {
        self.arm();
        act(&self.namespace);
        let path = self.path("/apis/nsq.rs/v1alpha1", "nsqclusters/demo");
        let (before, began) = (self.deaths, self.proxy.now());
        while self.proxy.await_frozen_or(|| {
            let cluster = self.proxy.read(&path);
            let status = &cluster["status"];
            let seen = status["observedGeneration"] == cluster["metadata"]["generation"];
            seen && status["phase"] == "Running" && and(&self.proxy)
        }) {
            self.deaths += 1;
            assert!(self.deaths - before < DEATHS, "{what}: no end");
            self.die();
        }
        // The rest is done by one that lives.
        self.proxy.heal();
        self.die();
        let wanted = rendered_with_hashes(&self.namespace, "demo", &self.spec);
        await_settled(&self.namespace, "demo", what, &wanted);
        let (deaths, took) = (self.deaths - before, self.proxy.now() - began);
        #[allow(clippy::print_stdout, reason = "the command shows how far it is")]
        {
            println!("{what}: {deaths} deaths in {} s", took.as_secs());
        }
    }

    fn die(&mut self) {
        self.operator.kill();
        self.proxy.thaw();
        self.operator = Operator::start_as(&self.namespace, self.proxy.kubeconfig(), &FLAGS);
    }

    /// From now on writes are deadly.
    fn arm(&self) {
        let (side, at, witness) = (self.side, self.at, Arc::clone(&self.witness));
        let nodes = self.nodes();
        let (mut died, mut number) = (Vec::new(), 0);
        self.proxy.fault(move |call| {
            if !call.is_write() {
                return None;
            }
            testify(&witness, &nodes, call);
            let key = (call.verb, call.path.clone());
            let deadly = match at {
                At::Number(deadly) => {
                    number += 1;
                    number == deadly
                }
                At::Every if side == Side::After => true,
                At::Every => match died.iter().position(|before| *before == key) {
                    Some(again) => {
                        died.swap_remove(again);
                        false
                    }
                    None => {
                        died.push(key);
                        true
                    }
                },
            };
            deadly.then_some(match side {
                Side::Before => Fault::FreezeBefore,
                Side::After => Fault::FreezeAfter,
            })
        });
    }

    /// Where nsqd-1 and nsqd-2 answer, where they are.
    fn nodes(&self) -> Vec<std::net::SocketAddr> {
        let pods = self.namespace.names("pod");
        let there = ["demo-nsqd-1", "demo-nsqd-2"].into_iter();
        let there = there.filter(|name| pods.iter().any(|pod| pod == name));
        there.map(|name| self.namespace.pod(name, 4151)).collect()
    }

    /// Kinds, names and UIDs of all objects.
    fn uids(&self) -> BTreeSet<String> {
        let kinds = "serviceaccount,service,configmap,pvc,networkpolicy,pdb,deployment,statefulset";
        let list = self.namespace.get(&[kinds, "-l", "nsq.rs/cluster=demo"]);
        let items = list["items"].as_array().unwrap();
        let one = |item: &Value| {
            let meta = &item["metadata"];
            format!("{} {} {}", item["kind"], meta["name"], meta["uid"]).replace('"', "")
        };
        items.iter().map(one).collect()
    }
}

/// Keeps what a write is judged by.
fn testify(witness: &Mutex<Witness>, nodes: &[std::net::SocketAddr], call: &Call) {
    let mut witness = witness.lock().unwrap();
    if call.is("delete", "persistentvolumeclaims") {
        witness.claims.extend(call.name.clone());
    }
    if let (true, [one, two]) = (call.is("patch", "statefulsets"), nodes) {
        let left = (messages(*one), messages(*two));
        witness.left.push(left);
    }
}

/// Messages of a node; none of one that is gone.
fn messages(at: std::net::SocketAddr) -> u64 {
    // A node that was told to go may go at any moment.
    let asked = std::panic::catch_unwind(|| request(at, "GET", "/stats?format=json", b"").json());
    let stats = asked.unwrap_or_default();
    let topics = stats["topics"].as_array().cloned().unwrap_or_default();
    let channels = topics
        .iter()
        .flat_map(|topic| topic["channels"].as_array().cloned().unwrap_or_default());
    channels
        .map(|channel| {
            let count = |key: &str| channel[key].as_u64().unwrap_or(0);
            count("depth") + count("in_flight_count") + count("deferred_count")
        })
        .sum()
}

#[test]
fn op_174_a_leader_that_was_frozen_does_nothing_when_it_wakes_up() {
    let namespace = Cluster::nodes().namespace("op-174");
    let proxies = [
        Proxy::start(namespace.cluster()),
        Proxy::start(namespace.cluster()),
    ];
    let leads = |operator: &Operator| operator.metrics().get("nsq_operator_leader") == Some(1.0);
    let mut first = Operator::start_as(&namespace, proxies[0].kubeconfig(), &[]);
    eventually(BOUND, || leads(&first));
    let second = Operator::start_as(&namespace, proxies[1].kubeconfig(), &[]);
    let mut spec = quick(2);
    spec["nsqd"]["storage"]["whenScaled"] = "DeleteIfDrained".into();
    namespace.apply_cluster("demo", &spec);
    namespace.await_running("demo");
    fill(&namespace, "demo-nsqd-1", "t", "c", 20);
    scale(&namespace, 1);
    namespace.await_status("demo", "Draining", |status| {
        status["drain"]["nodes"][0]["state"] == "Draining"
    });
    first.signal(Signal::STOP);
    eventually(BOUND, || leads(&second));
    // What it sent just before it froze has long arrived.
    let written = proxies[0].writes().len();
    // Everything that the drain waited for is there when the first one wakes up.
    let mut consumer = namespace.connect("demo-nsqd-1");
    consumer.subscribe("t", "c");
    consumer.command("RDY 100");
    for _ in 0..20 {
        let message = consumer.message();
        consumer.finish(&message);
    }
    drop(consumer);
    first.signal(Signal::CONT);
    assert_eq!(first.wait(), Some(5), "{}", first.log());
    let late: Vec<Call> = proxies[0].writes().split_off(written);
    assert!(late.is_empty(), "{late:?}");
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    eventually(BOUND, || namespace.names("pvc") == ["data-demo-nsqd-0"]);
    let list = namespace.get(&["events.events.k8s.io"]);
    let removed = list["items"].as_array().unwrap().iter();
    let removed: Vec<_> = removed.filter(|event| event["reason"] == "NodeRemoved").collect();
    assert!(
        removed.len() == 1 && removed[0]["series"].is_null(),
        "{removed:#?}"
    );
}
