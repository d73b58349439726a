import type { Requirements } from './requirement.ts'

/** API keys of Corral’s own, and the audit log. */
export const keys: Requirements = {
  'AUD-1': {
    source: 'issue 3, Hardening',
    when: 'a request is denied, or a key, a policy or a resource changes',
    observed: 'one line of JSON with a number, a time, the hash of the line before and its own, in a file that its owner alone can read',
  },
  'AUD-2': {
    source: 'issue 3, Hardening',
    when: 'the process is restarted, also after `kill -9`, or several processes record at once',
    observed: 'the chain goes on, a torn last line stays and is closed by a marker, and no two processes write one chain',
  },
  'AUD-3': {
    source: 'issue 3, Hardening',
    when: 'a byte, a line or a file of the audit log is changed, removed, inserted or moved, anywhere but at the very end',
    observed: '`corral audit verify` names file, line and what was done, and its exit code is 1',
  },
  'AUD-4': {
    source: 'issue 3, Hardening',
    when: 'whole lines are cut from the very end, or the log is written anew',
    observed: '`corral audit verify --head HASH`, with a hash kept from an earlier check, tells',
  },
  'AUD-5': {
    source: 'issue 3, Hardening',
    when: 'denials come by the thousand a second',
    observed: 'identical ones are merged with a count, in bounded memory, and the counts add up',
  },
  'AUD-6': {
    source: 'issue 3, Hardening',
    when: 'a file has reached its size, or files are older than is to be kept',
    observed: 'the chain goes on in another file; what is removed is told in the chain and is no break',
  },
  'AUD-7': {
    source: 'issue 3, Hardening',
    when: 'the audit log cannot be written, or somebody else changes its file meanwhile',
    observed: 'entries are kept and written later, what is too much is counted in the chain, and the log of the server tells',
  },
}
