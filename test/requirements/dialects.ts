import type { Requirements } from './requirement.ts'

/** Errors, streams and formats of each API that is served, and what is known of a failure. */
export const dialects: Requirements = {
  'DIA-1': {
    source: 'design §6; issue "Operations, dialects, execution"',
    when: 'a request fails: with a route or without (404, 405), before authentication (401) or by a limit (429)',
    observed: 'the error is encoded by the dialect of the path, with that dialect’s headers',
  },
  'DIA-2': {
    source: 'design §6, "Streams"',
    when: 'a stream is relayed, is silent, or fails',
    observed: 'frames pass unchanged; heartbeats and the error event are those of the dialect',
  },
  'DIA-3': {
    source: 'design §4, §6',
    when: 'an error is made',
    observed:
      'it has one of eleven failure classes and says whether a retry can help; clients get `x-should-retry: false` where a retry would be useless',
  },
  'DIA-4': {
    source: 'design §4; issue "Operations, dialects, execution"',
    when: 'a request to a model has a field twice, or in another spelling',
    observed: '400 where the field is one of the format of the route’s operation or of a provider, and on no other route',
  },
  'DIA-5': {
    source: 'issue "Operations, dialects, execution"',
    when: 'a model is called in a dialect that the tests bring along',
    observed: 'the request is authenticated, limited, logged, measured and traced by the dialect’s format',
  },
  'DIA-6': {
    source: 'design §3, rule 1',
    when: 'the OpenAPI document is requested',
    observed: 'the errors of each route have the schema of its dialect',
  },
  'DIA-7': {
    source: 'design §3, rule 1; issue "Operations, dialects, execution"',
    when: 'a dialect is in the list',
    observed: 'it has an error body with its schema, an error event, a heartbeat and a route; its formats are of known operations',
  },
}
