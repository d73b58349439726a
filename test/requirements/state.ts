import type { Requirements } from './requirement.ts'

/** State that always exists, and resources in it. */
export const state: Requirements = {
  'RES-1': {
    source: 'design §3 rule 9',
    when: 'nothing that a server is configured for needs a database',
    observed:
      'it loads no SQL, creates no file, and serves; registering a model creates the file, and other servers of the home see the model',
  },
  'RES-2': {
    source: 'design §3 rule 9',
    when: 'a server has no authentication, limits or database configured',
    observed: 'none of their code is loaded at its start',
  },
  'RES-3': {
    source: 'design §3 rule 9',
    when: 'the runtime has no SQLite that is supported, and none of the configured databases is another one',
    observed: 'the server starts and serves; the first use of the database is a 503 that names the remedy',
  },
  'RES-4': {
    source: 'design §5',
    when: 'a row of a resource with a revision is inserted, changed or deleted',
    observed: 'its revision is raised in the same transaction, so that every replica’s snapshot follows',
  },
  'RES-5': {
    source: 'design §5',
    when: 'an API key is created, changed or listed, over HTTP or on the command line',
    observed: 'one input and one output schema describe it everywhere; its row is the only other form',
  },
}
