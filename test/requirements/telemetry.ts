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
    observed: 'the request is part of that trace, `x-trace-id` tells it, and the operator’s upstream is told our span, never the caller’s',
  },
  'TRC-3': {
    source: 'issue 4',
    when: 'a trace is not sampled',
    observed: 'nothing of it is exported, and the flag that upstreams get says so',
  },
  'TRC-4': {
    source: 'issue 4',
    when: 'a request fails',
    observed: 'its spans tell the type, the message, what the provider answered, and what the request looked like',
  },
  'TRC-5': {
    source: 'issue 4; bun-notes, context',
    when: 'the body of an answer is pulled after the handler returned, and its caller leaves',
    observed: 'the spans end then, and belong to the trace of their request',
  },
  'TRC-6': {
    source: 'issue 4',
    when: 'the collector refuses, stalls, answers 429 or 503, and comes back',
    observed: 'serving goes on unchanged, one line tells of it, what was kept is sent later, what was not is counted',
  },
  'TRC-7': {
    source: 'issue 4',
    when: 'the server stops',
    observed: 'spans that wait are sent first, within a limit',
  },
}
