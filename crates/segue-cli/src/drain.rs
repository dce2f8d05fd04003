//! `segue drain`: asks a running server, over its admin API, to send its streams elsewhere, waits for the end and says
//! how each fared. The drain itself is the server's.

use std::time::Duration;

use anyhow::{Context, bail};
use segue_server::drain::Target;
use serde_json::{Map, Value};
use tokio::time::MissedTickBehavior;

use crate::drain_view::View;
use crate::exit::{Exit, complain, print};
use crate::http::{self, Base};
use crate::progress::{Progress, on_terminal};
use crate::stop::Stops;
use crate::{exit, seconds};

/// How often the server is asked.
const POLL: Duration = Duration::from_millis(200);
/// How often, without a terminal, a line says that it goes on.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// Time after the deadline in which the server closes connections and files.
const PATIENCE: Duration = Duration::from_secs(30);
const PATH: &str = "/api/v1/drain";

/// Empty a server: its clients are told to go, and move to another one at their next keyframe.
///
/// Waits until all are gone and prints a line per stream: id, how it was told, result, missing, delay. Exits 0 if every
/// publisher moved or ended by itself without loss, 3 if one was cut or lost something, 1 if it failed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The server's admin API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:1985")]
    admin: Base,

    /// Where clients are sent, rtmp://host[:port][/app]; without the app each keeps its own, without --to they are
    /// given no address
    #[arg(long, value_name = "URL", value_parser = target)]
    to: Option<String>,

    /// Seconds until whoever is still there is cut, all included [default: 25]
    #[arg(long, value_name = "S", value_parser = seconds::parse)]
    deadline: Option<Duration>,

    /// Seconds from the failing health check to the first signal without an address, so that load balancers notice
    /// [default: 6]
    #[arg(long, value_name = "S", value_parser = seconds::parse)]
    settle: Option<Duration>,

    /// Seconds over which the signals are spread [default: 0]
    #[arg(long, value_name = "S", value_parser = seconds::parse)]
    over: Option<Duration>,

    /// Tell this one stream only; the server goes on as it is
    #[arg(long, value_name = "ID|APP/NAME")]
    stream: Option<String>,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Take a drain back: the server takes streams again
    #[arg(long, conflicts_with_all = ["to", "deadline", "settle", "over", "stream", "dry_run"])]
    cancel: bool,

    /// Print the result, with the hand-over records, as JSON
    #[arg(long)]
    json: bool,
}

/// Asks, waits, reports.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    if args.cancel {
        let answer = call(&args.admin, "DELETE", None).await?;
        return show(&args, &answer).map(|()| Exit::Done);
    }
    let before = if args.json && !args.dry_run { handovers(&args.admin).await? } else { Vec::new() };
    let begun = call(&args.admin, "POST", Some(&args.request().to_string())).await?;
    if args.dry_run {
        return show(&args, &begun).map(|()| Exit::Done);
    }
    let mut answer = wait(&args, begun).await?;
    if args.json {
        let new: Vec<Value> =
            handovers(&args.admin).await?.into_iter().filter(|record| !before.contains(record)).collect();
        if let Value::Object(report) = &mut answer {
            report.insert("handovers".into(), new.into());
        }
    }
    show(&args, &answer)?;
    let view = View::parse(&answer)?;
    if view.state == "running" && args.stream.is_none() {
        bail!("the drain was cancelled");
    }
    Ok(view.exit())
}

impl Args {
    /// The body of `POST drain`: what is not named is the server's to choose.
    fn request(&self) -> Value {
        let mut body = Map::new();
        if let Some(to) = &self.to {
            body.insert("to".into(), to.as_str().into());
        }
        for (name, value) in [("deadline", self.deadline), ("settle", self.settle), ("over", self.over)] {
            if let Some(value) = value {
                body.insert(name.into(), value.as_secs_f64().into());
            }
        }
        if let Some(stream) = &self.stream {
            body.insert("stream".into(), stream.as_str().into());
        }
        if self.dry_run {
            body.insert("dry_run".into(), true.into());
        }
        body.into()
    }
}

/// Checks a drain's target on the command line.
pub(crate) fn target(text: &str) -> Result<String, segue_server::drain::BadTarget> {
    Target::parse(text).map(|_| text.to_owned())
}

/// Polls until the drain is over.
async fn wait(args: &Args, begun: Value) -> anyhow::Result<Value> {
    let (mut answer, mut view) = (begun.clone(), View::parse(&begun)?);
    let (_, total) = view.left();
    let bar = Progress::new(Some(total.max(1)));
    let mut stops = Stops::listen()?;
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = None;
    let limit =
        tokio::time::Instant::now() + Duration::from_secs_f64(view.deadline.clamp(0.0, 1e9)) + PATIENCE;
    while !view.is_over() {
        let due = said.is_none_or(|(at, left): (tokio::time::Instant, _)| {
            left != view.left() || at.elapsed() >= SAY_EVERY
        });
        if due && !on_terminal() {
            complain(&view.standing());
            said = Some((tokio::time::Instant::now(), view.left()));
        }
        bar.update(view.left().0, || view.standing());
        if tokio::time::Instant::now() >= limit {
            bar.done();
            bail!("the server is still {} long after the deadline", view.state);
        }
        tokio::select! {
            biased;
            _ = stops.next() => {
                bar.done();
                bail!("no longer waiting; the drain goes on (segue drain --cancel takes it back)");
            }
            _ = ticks.tick() => {}
        }
        answer = call(&args.admin, "GET", None).await?;
        view = View::parse(&answer)?;
    }
    bar.done();
    Ok(answer)
}

fn show(args: &Args, answer: &Value) -> anyhow::Result<()> {
    if args.json {
        print(format_args!("{}\n", serde_json::to_string_pretty(answer)?))
    } else {
        print(View::parse(answer)?.lines())
    }
}

async fn handovers(admin: &Base) -> anyhow::Result<Vec<Value>> {
    let answer = get(admin, "GET", "/api/v1/handovers", None).await?;
    Ok(match answer {
        Value::Array(records) => records,
        Value::Object(mut map) => match map.remove("handovers") {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    })
}

async fn call(admin: &Base, method: &str, body: Option<&str>) -> anyhow::Result<Value> {
    get(admin, method, PATH, body).await
}

/// One call of the API: its JSON, or its refusal as an error.
pub(crate) async fn get(admin: &Base, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Value> {
    let response = http::request(admin, method, path, body).await?;
    let json: Option<Value> = serde_json::from_slice(&response.body).ok();
    match response.status {
        200..=299 => json.with_context(|| format!("{admin} does not answer as a segue admin API")),
        status => {
            let text = json.as_ref().and_then(|json| json.get("error")).and_then(Value::as_str);
            let text =
                text.map_or_else(|| String::from_utf8_lossy(&response.body).into_owned(), str::to_owned);
            bail!("{admin} refuses ({status}): {}", exit::one_line(text.trim()))
        }
    }
}
