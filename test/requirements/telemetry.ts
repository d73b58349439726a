import type { Requirements } from './requirement.ts'

/** Traces. */
export const telemetry: Requirements = {
  'TRC-1': {
    source: 'issue 4; field §4.1',
    when: 'a chat is streamed while a collector is configured',
    observed: 'one server span named by its route and under it one GenAI client span, with names and attributes of the conventions',
  },
  'TRC-2': {
    source: 'issue 4; behaviour §1.10',
    when: 'a caller sends a well-formed `traceparent`',
    observed: 'the request is part of that trace, `x-trace-id` contains it, and the operator’s upstream gets our span, never the caller’s',
  },
  'TRC-3': {
    source: 'issue 4',
    when: 'a trace is not sampled',
    observed: 'nothing of it is exported, and the flag that upstreams get says so',
  },
  'TRC-4': {
    source: 'issue 4',
    when: 'a request fails',
    observed: 'its spans have the type, the message, the provider’s response, and the shape of the request',
  },
  'TRC-5': {
    source: 'issue 4; bun-notes, context',
    when: 'the body of a response is pulled after the handler returned, and its caller disconnects',
    observed: 'the spans end then, and belong to the trace of their request',
  },
  'TRC-6': {
    source: 'issue 4',
    when: 'the collector refuses, stalls, returns 429 or 503, and recovers',
    observed: 'serving is unaffected, one line reports it, what was kept is sent later, the rest is counted',
  },
  'TRC-7': {
    source: 'issue 4',
    when: 'the server stops',
    observed: 'spans that wait are sent first, within a limit',
  },
  'TRC-8': {
    source: 'issue 4; W3C Trace Context, Baggage',
    when: 'a `traceparent`, `tracestate` or `baggage` is malformed',
    observed: 'it is as if it were not there: a new trace begins, and nothing of it is passed on',
  },
  'TRC-9': {
    source: 'issue 4',
    when: 'ids are made, by any number of processes',
    observed: 'they are well-formed, not zero, and unique',
  },
  'TRC-10': {
    source: 'issue 4; OpenTelemetry, sampling',
    when: 'OTEL_TRACES_SAMPLER names a sampler',
    observed: 'it decides as OpenTelemetry says, the same for one trace wherever it passes',
  },
  'TRC-11': {
    source: 'issue 4',
    when: 'a span is open for an hour',
    observed: 'it begins and ends when it did',
  },
  'TRC-12': {
    source: 'issue 4',
    when: 'a request fails or is slow',
    observed: 'it is kept on this machine whatever the sampling, and goes to no collector unless it is sampled',
  },
  'TRC-13': {
    source: 'issue 4; field §4.3',
    when: 'OTEL_SEMCONV_STABILITY_OPT_IN holds `gen_ai_latest_experimental`',
    observed: 'names are those of the newer conventions, by default those of v1.41',
  },
  'TRC-14': {
    source: 'issue 4',
    when: 'content capture is switched on, or not',
    observed: 'prompts and completions are in spans, bounded and masked by the patterns; else nowhere',
  },
  'TRC-15': {
    source: 'issue 4; OpenTelemetry, environment variables; behaviour §1.10',
    when: 'OpenTelemetry’s variables, the file or Llama Stack’s provider of telemetry say what is measured',
    observed: 'the variables count most, those of a signal before the others; no header is ever shown',
  },
}
