import type { Requirements } from './requirement.ts'

/** Configuration files that Llama Stack and OGX have released (docs/configuration.md, "Coming from Llama Stack"). */
export const releasedConfigs: Requirements = {
  'REL-1': {
    source: 'design §6; behaviour §17.2; docs/configuration.md',
    when: 'a file asks for what is not served: providers, sections, resources, keys of a later release, also with mistakes in them',
    observed: 'it loads, with one warning each that names it and its line; `--strict` makes errors of what is not understood',
  },
  'REL-2': {
    source: 'design §6; behaviour §17.2',
    when: '`server` holds a key that is not known, or one of its settings is at the top level',
    observed: 'an error in `auth`, policies, `quota`, `tls_*` and sections of Corral’s own, and near a known key; else a warning',
  },
  'REL-3': {
    source: 'behaviour §6.2, §17.2 (`storage.stores`)',
    when: 'a store names a `kv_*` or a `sql_*` backend, or a backend that is not used has mistakes',
    observed: 'it loads; records lie in the backend that `metadata` names, of whichever kind',
  },
  'REL-4': {
    source: 'behaviour §17.2 (`connection_string`); PostgreSQL documentation §34.1.1.2',
    when: 'a PostgreSQL backend has a `connection_string`',
    observed: 'Corral connects there and nowhere else; its password is in no output; what cannot be parsed is an error',
  },
  'REL-5': {
    source: 'Llama Stack 0.2.10 (files for Groq, Together, NVIDIA)',
    when: 'a file names one model or one provider twice',
    observed: 'the same entry twice is one; entries that contradict one another are an error',
  },
  'REL-6': {
    source: 'Helm, printed configurations; behaviour §6.1 (pydantic)',
    when: 'a number or a boolean is quoted',
    observed: 'it is read as one where one is wanted, and as text elsewhere',
  },
  'REL-7': {
    source: 'Llama Stack before 0.2.13',
    when: 'a value has a reference of the older grammar, `${env.X:default}` or `${env.X+value}`',
    observed: 'it is expanded, with a deprecation warning that names it; where both grammars match, the newer counts',
  },
  'REL-8': {
    source: 'Llama Stack 0.2 (`server.auth`)',
    when: '`auth` is written as `{provider_type, config}`',
    observed: 'callers are authenticated, and a deprecation warning names the present form; both forms at once are an error',
  },
  'REL-9': {
    source: 'docs/configuration.md',
    when: 'a configuration has errors and warnings',
    observed: 'both are shown, on the command line, as JSON and by the doctor',
  },
  'REL-10': {
    source: 'design §6',
    when: 'a file of Llama Stack 0.2.10 to OGX 1.5.0 is served with keys in the environment and without its database',
    observed: 'it starts, and each of its inference providers that Corral has is served',
  },
  'REL-11': {
    source: 'design §6; docs/configuration.md',
    when: 'a setting that protects has an unknown name, a place where it has no effect, or no value',
    observed: 'an error that names it; nothing starts without the protection',
  },
}
