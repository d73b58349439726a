import type { Requirements } from './requirement.ts'

/** Requests beside streams that are always ready, never read or never begin. */
export const fairness: Requirements = {
  'FAI-1': {
    source: 'field report; bench/README.md, Fairness',
    when: 'an upstream has more bytes ready than are relayed in one turn of the event loop',
    observed: 'each turn relays a bounded share of them, streams take turns, other requests and timers run between, and no byte is lost',
  },
}
