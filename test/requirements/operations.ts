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
    observed: 'it is served, with `deprecation` and a `link` to its successor; the log is told once for each caller, in bounded memory',
  },
}
