import type { Requirements } from './requirement.ts'

/** What is kept (behaviour §6.2). */
export const storage: Requirements = {
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
