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
}
