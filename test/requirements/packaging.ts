import type { Requirements } from './requirement.ts'

/** What a new user gets: the package, the container, the documents. */
export const packaging: Requirements = {
  'DOC-1': {
    source: 'issue "README and metadata"; README "Quick start"',
    when: 'the packed package is installed in an empty folder',
    observed:
      'no GPU build is installed, the folder stays under 280 MB, `npx corral` prints its version and serves the starter distribution',
  },
  'DOC-2': {
    source: 'issue "README and metadata"; docs/deployment.md',
    when: 'the container image is built',
    observed: 'pinned base, lock file, no secrets, non-root user, a health check; its steps give a folder that serves as that user',
  },
  'DOC-3': {
    source: 'issue "README and metadata"',
    when: 'a YAML example of the README or a page is loaded',
    observed: 'it is a configuration without errors and warnings, or says why it is not loaded',
  },
  'DOC-4': {
    source: 'issue "README and metadata"',
    when: 'a `corral …` command line of the README or a page is parsed',
    observed: 'the command, its arguments and its options exist',
  },
  'DOC-5': {
    source: 'issue "README and metadata"',
    when: 'a curl, Python or TypeScript example of the README or a page runs against a server',
    observed: 'it succeeds; the few that are not run say why',
  },
  'DOC-6': {
    source: 'docs/tutorial-two-teams.md',
    when: 'the tutorial is followed',
    observed: 'statuses, messages and output are those of the page',
  },
}
