import type { Requirements } from './requirement.ts'

/** Requests beside streams that are always ready, never read or never begin. */
export const fairness: Requirements = {
  'FAI-1': {
    source: 'field report; bench/README.md, Fairness',
    when: 'an upstream has more bytes ready than are relayed in one turn of the event loop',
    observed: 'each turn relays a bounded share of them, streams take turns, other requests and timers run between, and no byte is lost',
  },
  'FAI-2': {
    source: 'field report; docs/requests-and-streams.md',
    when: 'a caller reads nothing of its stream for the provider’s `network.timeout.idle` seconds',
    observed: 'the upstream’s connection closes, the request is settled and logged with the reason, and the caller’s connection is closed',
  },
  'FAI-3': {
    source: 'field report; docs/configuration.md',
    when: 'a provider sends the head of its stream and then nothing, or nothing but comments',
    observed: 'the caller has the head of its response within `stream_head_timeout_seconds` of its request',
  },
}
