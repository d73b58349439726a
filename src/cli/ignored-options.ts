import type { OptionSpecs } from './command.ts'

const noImageBuilt = 'Corral does not build images or virtual environments; the package contains every provider.'
const listDistrosAlias = { type: 'boolean', description: 'the same as `corral list distros`' } as const

/** Options of `llama stack run` and `ogx run` that are accepted and ignored. */
export const ignoredRunOptions = {
  'image-type': { type: 'string', description: '', ignored: noImageBuilt },
  'image-name': { type: 'string', description: '', ignored: noImageBuilt },
  'enable-ui': { type: 'boolean', description: '', ignored: 'there is no separate UI server; the API reference is at /docs.' },
  'skip-install-deps': { type: 'boolean', description: '', ignored: 'there is nothing to install.' },
  insecure: {
    type: 'boolean',
    description: '',
    ignored: 'the server uses plain HTTP unless server.tls_certfile is set. A host other than loopback requires authentication.',
  },
  'disable-ipv6': {
    type: 'boolean',
    description: '',
    ignored: 'the server listens on the address of --host; the default is 127.0.0.1, and ::1 where IPv6 is available.',
  },
} as const satisfies OptionSpecs

/** Options of `llama stack build`: the other spellings of Corral's own, and those that it has no use for. */
export const buildCompatibilityOptions = {
  'image-type': { type: 'string', description: '', ignored: noImageBuilt },
  config: {
    type: 'string',
    description: '',
    ignored: 'a build file lists dependencies; use --providers, or serve a run file with `corral run FILE`.',
  },
  'image-name': { type: 'string', value: 'NAME', description: 'the same as --name' },
  template: { type: 'string', value: 'NAME', description: 'the same as --distro' },
  distribution: { type: 'string', value: 'NAME', description: 'the same as --distro' },
  'list-distros': listDistrosAlias,
  'list-distributions': listDistrosAlias,
  'list-templates': listDistrosAlias,
  'print-deps-only': { type: 'boolean', description: 'prints that nothing needs to be installed' },
} as const satisfies OptionSpecs
