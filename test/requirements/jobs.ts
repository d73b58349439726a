import type { Requirements } from './requirement.ts'

/** The durable queue (docs/jobs.md). */
export const jobs: Requirements = {
  'JOB-1': {
    source: 'docs/jobs.md; design §5',
    when: 'processes that run jobs are killed or stopped at any moment',
    observed: 'every job is done; what it commits with its end is committed exactly once; recorded progress is kept',
  },
  'JOB-2': {
    source: 'docs/jobs.md',
    when: 'an attempt has lost its lease to another',
    observed: 'each of its writes is refused, its signal aborts, and its outcome is not recorded',
  },
  'JOB-3': {
    source: 'docs/jobs.md; design §5',
    when: 'a process stops',
    observed: 'it takes no more jobs, running ones get time, the rest go back to the queue at once without counting as attempts',
  },
  'JOB-4': {
    source: 'docs/jobs.md; design §3',
    when: 'a job is queued',
    observed: 'its payload is checked by its schema, then and before each attempt; its state, progress and last error can be read',
  },
  'JOB-5': {
    source: 'docs/jobs.md',
    when: 'a job is queued with the key of one that is queued or running',
    observed: 'it is the same job; once that has ended, another',
  },
  'JOB-6': {
    source: 'docs/jobs.md',
    when: 'a job is queued within a transaction',
    observed: 'it is there exactly when the transaction is committed',
  },
  'JOB-7': {
    source: 'docs/jobs.md',
    when: 'an attempt fails',
    observed:
      'another follows after an exponential delay, half of it random, up to the number of attempts; none after an unrecoverable error',
  },
  'JOB-8': {
    source: 'docs/jobs.md',
    when: 'a job has a time before which it is not to start, and the clock of a process is wrong',
    observed: 'the clock of the database counts',
  },
  'JOB-9': {
    source: 'docs/jobs.md',
    when: 'a job is cancelled, from whichever process',
    observed: 'a queued one never runs; a running one gets its signal at once; one that succeeds all the same has succeeded',
  },
  'JOB-10': {
    source: 'docs/jobs.md',
    when: 'a lease is renewed, or runs out',
    observed: 'a long job keeps it; the job of a dead process is taken over, or given up after its attempts',
  },
  'JOB-11': {
    source: 'docs/jobs.md',
    when: 'many jobs are queued',
    observed: 'a process runs no more at once than its limit and that of their kind',
  },
  'JOB-12': {
    source: 'docs/jobs.md',
    when: 'a job is of a kind that a process does not know',
    observed: 'it is left to processes that do',
  },
  'JOB-13': {
    source: 'docs/jobs.md',
    when: 'a job is queued in one process',
    observed: 'another process begins it within a second',
  },
  'JOB-14': {
    source: 'issue "One resource kit"; design §3',
    when: 'no job is queued and none is looked for',
    observed: 'the database is not touched',
  },
  'JOB-15': {
    source: 'docs/jobs.md',
    when: 'the database is out of reach while a job runs',
    observed: 'its end is recorded once the database is back; an attempt whose lease runs out meanwhile is aborted',
  },
  'JOB-16': {
    source: 'docs/jobs.md',
    when: 'a job has been finished for a week',
    observed: 'it is deleted',
  },
}
