// Latency of votes over windows of {{step}}, per validator and per network, from raw votes: a percentile of percentiles
// is none. Figures are those of the stream, but in a measurement of their own, so that both may run.
import "array"
import "date"

option task = {name: "tidemark vote-latency {{step}}", cron: "{{cron}}", offset: {{offset}}}

// now() is the time for which a run was planned. Windows before the last are computed again: a run that failed is made
// up for, and so are votes that came late.
stop = date.truncate(t: now(), unit: {{step}})
start = date.sub(from: stop, d: {{back}})

votes =
    from(bucket: "{{raw}}")
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => r._measurement == "vote_latency" and r._field == "latency_slots")
        |> toFloat()

figure = (tables=<-, name, scope) =>
    tables
        |> duplicate(column: "_start", as: "_time")
        |> set(key: "_field", value: name)
        |> set(key: "_measurement", value: "vote_latency_rollup_flux")
        |> set(key: "scope", value: scope)
        |> set(key: "step", value: "{{step}}")

rollup = (scope, by) => {
    windows = votes |> group(columns: by) |> window(every: {{step}})
    at = (q) => windows |> quantile(q: q, method: "exact_mean")

    return
        union(
            tables: [
                windows |> sum() |> figure(name: "sum", scope: scope),
                windows |> mean() |> figure(name: "mean", scope: scope),
                windows |> min() |> figure(name: "min", scope: scope),
                windows |> max() |> figure(name: "max", scope: scope),
                windows |> stddev(mode: "population") |> figure(name: "stddev", scope: scope),
                at(q: 0.5) |> figure(name: "p50", scope: scope),
                at(q: 0.95) |> figure(name: "p95", scope: scope),
                at(q: 0.99) |> figure(name: "p99", scope: scope),
            ],
        )
            // min and max select a row, with the tags of whoever it was.
            |> keep(columns: array.concat(arr: by, v: ["_time", "_measurement", "_field", "_value", "scope", "step"]))
}
counts = (scope, by) =>
    votes
        |> group(columns: by)
        |> window(every: {{step}})
        |> count()
        |> figure(name: "count", scope: scope)

validator = ["network", "validator_id", "vote_account"]
network = ["network"]

rollup(scope: "validator", by: validator) |> to(bucket: "{{target}}")
rollup(scope: "network", by: network) |> to(bucket: "{{target}}")
counts(scope: "validator", by: validator) |> to(bucket: "{{target}}")
counts(scope: "network", by: network) |> to(bucket: "{{target}}")
