import type { Requirements } from './requirement.ts'

/** Rules for the source code itself. */
export const architecture: Requirements = {
  'ARC-1': {
    source: 'docs/glossary.md',
    when: 'an identifier, message, help text, test title or page title is written',
    observed: 'it has no word of the rejected list, except where the list of exceptions, which only shrinks, counts it',
  },
  'ARC-2': {
    source: 'design §3',
    when: 'a type is declared in src/',
    observed: 'no other file declares one of the same name, except where the list of exceptions, which only shrinks, counts it',
  },
  'ARC-3': {
    source: 'src/timing.ts; src/bounded-map.ts',
    when: 'something waits for a limited time, or remembers a limited number of entries',
    observed: 'it uses the one implementation of each; no timer is left when the wait is over',
  },
  'ARC-4': {
    source: 'design §3 rule 16',
    when: 'files import one another',
    observed: 'no circle, imports of types included; a contract has a file of its own',
  },
  'ARC-5': {
    source: 'design §3 rule 16',
    when: 'a file exports something',
    observed: 'another file, of the program, its tests or its benchmarks, uses it',
  },
  'ARC-6': {
    source: 'Unicode Standard Annex 11',
    when: 'the command line prints a table, a tree or a list with names of wide or combining characters',
    observed: 'columns are aligned by what a terminal shows',
  },
}
