import type { Requirements } from './requirement.ts'

/** Telemetry of operations as values, and of failures by their class. */
export const telemetryOperations: Requirements = {
  'TEL-1': {
    source: 'design §3 rule 1, §4',
    when: 'an inference of an operation that is in no list is reported',
    observed:
      'its span and its metrics have the names of the operation, and what its format reads of the request, the reply and the stream',
  },
  'TEL-2': {
    source: 'design §4; docs/logs.md',
    when: 'a request or an attempt fails',
    observed: 'the access line (`failure_class`) and the spans (`corral.failure.class`) have the failure class of the error',
  },
  'TEL-3': {
    source: 'design §3 rule 1; docs/metrics.md',
    when: 'a limit refuses a request',
    observed:
      'the refusal is counted under the limit’s configured name, whatever the limit’s name contains; limits of keys share one label',
  },
}
