// Hosts' readings over windows of {{step}}: count, mean, min, max and stddev of every field, under the names that the
// stream's rollups have, but in a measurement of their own, so that both may run.
import "date"

option task = {name: "tidemark system-metrics {{step}}", cron: "{{cron}}", offset: {{offset}}}

// now() is the time for which a run was planned. Windows before the last are computed again: a run that failed is made
// up for, and so are readings that came late.
stop = date.truncate(t: now(), unit: {{step}})
start = date.sub(from: stop, d: {{back}})

windows =
    from(bucket: "{{raw}}")
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => r._measurement == "system_metrics")
        |> toFloat()
        |> window(every: {{step}})

figure = (tables=<-, name) =>
    tables
        |> duplicate(column: "_start", as: "_time")
        |> map(fn: (r) => ({r with _field: r._field + "_" + name}))
        |> set(key: "_measurement", value: "system_metrics_flux")
        |> drop(columns: ["_start", "_stop"])

union(
    tables: [
        windows |> mean() |> figure(name: "mean"),
        windows |> min() |> figure(name: "min"),
        windows |> max() |> figure(name: "max"),
        windows |> stddev(mode: "population") |> figure(name: "stddev"),
    ],
)
    |> to(bucket: "{{target}}")

windows |> count() |> figure(name: "count") |> to(bucket: "{{target}}")
