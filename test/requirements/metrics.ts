import type { Requirements } from './requirement.ts'

/** What is counted and measured (behaviour §1.10; issue 4, "Metrics"). */
export const metrics: Requirements = {
  'MET-1': {
    source: 'issue 4, behaviour §1.10',
    when: '/metrics is read, as Prometheus or OpenMetrics',
    observed: 'the text keeps to the format, and names and units are those of OpenTelemetry’s conventions as Prometheus spells them',
  },
  'MET-2': {
    source: 'issue 4, field §4.2',
    when: 'a model responds, whole or streamed',
    observed:
      'durations, times to the first and between tokens, tokens with cached and reasoning ones are counted for callers and for providers',
  },
  'MET-3': {
    source: 'issue 4, behaviour §1.10 (cardinality)',
    when: 'a caller asks for 10,000 different models that there are not, or that no catalogue lists',
    observed: 'the number of series stays the same: they are all `other`',
  },
  'MET-4': { source: 'issue 4', when: 'ten clients read /metrics at once', observed: 'all get the same, and it is collected once' },
  'MET-5': {
    source: 'issue 4',
    when: 'there is authentication',
    observed: '/metrics demands a credential whose principal has the scope `telemetry.read`, and that the route policy admits',
  },
  'MET-6': {
    source: 'issue 4',
    when: 'several workers serve, and one dies or is stopped',
    observed: '/metrics of any of them is the sum of all; the counts of a dead worker stay, a stopped one does not delay it',
  },
  'MET-7': {
    source: 'issue 4',
    when: 'OTEL_METRICS_EXPORTER or telemetry.metrics names a collector',
    observed: 'it gets the same numbers; where it is out of reach serving goes on',
  },
  'MET-9': {
    source: 'issue 4, "Cost"; docs/metrics.md',
    when: 'responses cost something: whole ones, streams, embeddings, those that were cancelled, cut off or came without usage',
    observed: 'the access line, the spans, the metric and `corral usage` say what the ledger says, to the billionth of a dollar',
  },
  'MET-8': { source: 'issue 4', when: 'the documentation and the dashboard name a metric or a label', observed: 'it exists' },
}
