import type { Requirements } from './requirement.ts'

/** What is kept (behaviour §6.2). */
export const storage: Requirements = {
  'STO-1': {
    source: 'issue "Storage first"; docs/storage.md',
    when: 'the configuration names no database',
    observed: "records are kept in corral.db in Corral's home",
  },
  'STO-2': {
    source: 'behaviour §6.2; docs/storage.md',
    when: '`storage.backends` and `storage.stores` name databases',
    observed: "records are kept in the metadata store's backend, else in the first SQL store's, else in `sql_default`",
  },
  'STO-3': {
    source: 'behaviour §6.2; docs/storage.md',
    when: 'a store lies in Redis or MongoDB',
    observed: 'a warning says where records go in the place of Redis; MongoDB is a start error where a store names it',
  },
  'STO-4': {
    source: 'behaviour §6.2',
    when: 'a store names a backend that is not there, or one of the wrong kind',
    observed: "a start error in Llama Stack's words, with the place in the file; all fields are read, and passwords cannot be printed",
  },
  'STO-5': {
    source: 'behaviour §6.2; files of older versions',
    when: 'a file has `metadata_store` and its like at the top level',
    observed: 'records are kept in the database that it names',
  },
  'STO-8': {
    source: 'issue "Storage first"; OpenAI lists',
    when: 'a list is read page by page while rows are added and deleted',
    observed:
      'every row that is there the whole time is seen exactly once and in order, no row twice, also when the row of the cursor has gone',
  },
  'STO-9': {
    source: 'design §5; OpenAI lists',
    when: 'a cursor names a row that is not there, or that the caller may not see',
    observed: 'the same 400 for both, which names the parameter',
  },
}
