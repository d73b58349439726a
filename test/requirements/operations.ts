import type { Requirements } from './requirement.ts'

/** Looking after a server: what is wrong with it, what its log says, what it says to callers of old paths. */
export const operations: Requirements = {
  'OPS-1': {
    source: 'issue "Health"; docs/doctor.md',
    when: 'somebody runs `corral doctor`',
    observed:
      'a line for each thing that was looked at, a remedy with each that is not well; exit 1 when something will not work; no secrets',
  },
  'OPS-2': {
    source: 'behaviour §1.10; RFC 9745; docs/logs.md',
    when: 'a caller uses a deprecated path',
    observed: 'it is served, with `deprecation` and a `link` to its successor; logged once per caller, in bounded memory',
  },
  'OPS-3': {
    source: 'issue "Logs"; docs/logs.md',
    when: 'a model responded, whole or streamed',
    observed: 'the access line says who, which model of which provider, status, bytes, tokens and times, and the trace’s id',
  },
  'OPS-4': {
    source: 'behaviour §1.9; docs/logs.md',
    when: 'LLAMA_STACK_LOGGING, OGX_LOGGING or CORRAL_LOGGING is set',
    observed: 'the levels hold by category, in every spelling; over the file, under the flag',
  },
  'OPS-5': {
    source: 'behaviour §1.11',
    when: 'the health of a provider is requested and the provider hangs',
    observed: 'a response within the limit that says so; the check is aborted',
  },
  'OPS-6': {
    source: 'behaviour §1.9; Llama Stack’s log.py; docs/logs.md',
    when: 'LLAMA_STACK_LOG_FILE, OGX_LOG_FILE or CORRAL_LOG_FILE names a file',
    observed:
      'every line is appended to it as well; one that cannot be opened stops the start; one that takes nothing more costs lines, which are counted',
  },
  'OPS-7': {
    source: 'issue "Logs", "Failures and bad input"; docs/metrics.md',
    when: 'a sink of log lines, spans, pushes, audit entries or ledger lines is stuck, full or out of reach',
    observed: 'serving goes on unchanged, and /metrics counts what was lost, by what it was',
  },
}
