import type { Requirements } from './requirement.ts'

/** Operations, dialects and their execution. */
export const inference: Requirements = {
  'OPN-1': {
    source: 'design §4',
    when: 'an operation is added: one file, and one entry in the list of routes',
    observed: 'it is routed, authenticated, validated, limited, metered, traced and documented under its own name, by what its format says',
  },
  'OPN-2': {
    source: 'design §4',
    when: 'an operation is in the list',
    observed: 'it has a route, a schema, names for traces and metrics, governed fields, and a format in every dialect',
  },
}
