import type { OptionSpecs } from './command.ts'

const noImage = 'Corral builds no image and no virtual environment; the providers are all in the package.'

/** Options of `llama stack run` that Corral takes and has no use for. */
export const needlessServing = {
  'image-type': { type: 'string', description: '', needless: noImage },
  'image-name': { type: 'string', description: '', needless: noImage },
  'enable-ui': { type: 'boolean', description: '', needless: 'there is no separate UI server; /docs shows the API.' },
  'skip-install-deps': { type: 'boolean', description: '', needless: 'there is nothing to install.' },
} as const satisfies OptionSpecs

/** Options of `llama stack build` that Corral takes and has no use for. */
export const needlessBuilding = {
  'image-type': { type: 'string', description: '', needless: noImage },
  'print-deps-only': { type: 'boolean', description: '', needless: 'there are no dependencies to install.' },
} as const satisfies OptionSpecs
