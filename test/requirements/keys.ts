import type { Requirements } from './requirement.ts'

/** API keys of Corral’s own, and the audit log. */
export const keys: Requirements = {
  'KEY-1': {
    source: 'issue 3, Authenticators',
    when: 'a key is made over HTTP and used by clients of OpenAI’s, Anthropic’s and Google’s headers',
    observed:
      'its token is shown once and works at once; no list, log, audit line or error holds it or its hash; the checksum detects a typo',
  },
  'KEY-2': {
    source: 'issue 3, Authenticators and Storage',
    when: 'a key is revoked on one replica or on the machine, or the database is out of reach',
    observed:
      'every replica refuses it once it sees the new revision (within a second); after a minute without the database requests with keys are 503',
  },
  'KEY-3': {
    source: 'issue 3, Authenticators',
    when: 'keys are hashed with a pepper, configured or in a file that is made for it',
    observed: 'under another pepper every key is refused with 401, and a line in the log says why',
  },
  'KEY-4': {
    source: 'issue 3, Authenticators',
    when: 'a hash in the database is changed, spoiled or copied from another row',
    observed: '401',
  },
  'KEY-5': {
    source: 'issue 3, Authenticators and Policy',
    when: 'a key names the models and the APIs it is for',
    observed: 'other models are 404 and not listed, other APIs 403',
  },
  'KEY-6': {
    source: 'issue 3, Authenticators',
    when: 'keys are changed over HTTP without a rule of the configured policy that permits it, or without authentication',
    observed: '403 with a text that says what it takes',
  },
  'KEY-7': {
    source: 'design §3.8',
    when: 'somebody who may make or rotate keys asks for one with more than they have themselves',
    observed:
      '403: other attributes, other principals without a rule about them, wider models, APIs and lifetimes than those of the own key',
  },
  'KEY-8': {
    source: 'issue 3, Policy',
    when: 'keys of others are listed, read, rotated or revoked',
    observed: 'as if they were not there: 404, and pages that hold the own ones, each once',
  },
  'KEY-9': {
    source: 'design §5',
    when: 'a request for a key is invalid',
    observed: '400 with the field’s name in `param`; on the command line the option’s name',
  },
  'KEY-10': {
    source: 'issue 3, Authenticators',
    when: 'a key expires, or was rotated with a time of grace',
    observed: 'it is refused from that moment on',
  },
  'KEY-11': {
    source: 'issue 3, Authenticators',
    when: '`corral keys create|list|rotate|revoke` on the machine, while a server runs',
    observed: 'the server sees it within a second; only the token is on stdout; the audit log names the user of the system',
  },
  'KEY-12': {
    source: 'issue 3, Authenticators and Storage',
    when: 'a key is made or rotated by another process, and used at once',
    observed:
      'it works: before an unknown key is refused the revision is looked at, once for all that come within 50 ms; where that fails it is a 503',
  },
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
    observed: '`corral audit verify --head HASH`, with a hash kept from an earlier check, detects it',
  },
  'AUD-5': {
    source: 'issue 3, Hardening',
    when: 'denials come by the thousand a second',
    observed: 'identical ones are merged with a count, in bounded memory, and the counts add up',
  },
  'AUD-6': {
    source: 'issue 3, Hardening',
    when: 'a file has reached its size, or files are older than is to be kept',
    observed: 'the chain continues in another file; the chain records the removal, which is not a break',
  },
  'AUD-7': {
    source: 'issue 3, Hardening',
    when: 'the audit log cannot be written, or somebody else changes its file meanwhile',
    observed: 'entries are kept and written later, the excess is counted in the chain, and the server’s log reports it',
  },
}
