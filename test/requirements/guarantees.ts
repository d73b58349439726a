import type { Requirements } from './requirement.ts'

/** Guarantees about what is durable, and about input that is refused rather than guessed at. */
export const guarantees: Requirements = {
  'GUA-1': {
    source: 'field report; docs/audit-log.md',
    when: 'a key or a model is created, changed or deleted, over HTTP or on the command line',
    observed: 'success is reported after the audit log entry is synced to disk; when it cannot be written, the response is 503',
  },
  'GUA-2': {
    source: 'field report; docs/quotas.md',
    when: 'lines of the ledger come at any rate, while writes take their time and timers are called late',
    observed: 'the write of each line begins at most one second after it was made, or with the end of the write under way',
  },
  'GUA-3': {
    source: 'RFC 9112 §3.2, §3.2.2; docs/operating.md',
    when: 'a request has more than one Host header, an invalid one, or an absolute-form target with another authority',
    observed: '400 for the headers, on every address; the authority is checked like Host where the HTTP server passes it on',
  },
}
