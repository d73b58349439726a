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
    when: '`server` holds a key that is not known',
    observed: 'an error in `auth`, policies, `quota`, `tls_*` and sections of Corral’s own, and near a known key; else a warning',
  },
  'REL-3': {
    source: 'behaviour §6.2, §17.2 (`storage.stores`)',
    when: 'a store names a `kv_*` or a `sql_*` backend, or a backend that is not used has mistakes',
    observed: 'it loads; records lie in the backend that `metadata` names, of whichever kind',
  },
  'REL-5': {
    source: 'Llama Stack 0.2.10 (files for Groq, Together, NVIDIA)',
    when: 'a file names one model or one provider twice',
    observed: 'the same entry twice is one; entries that contradict one another are an error',
  },
  'REL-10': {
    source: 'design §6',
    when: 'a file of Llama Stack 0.2.10 to OGX 1.5.0 is served with keys in the environment and without its database',
    observed: 'it starts, and each of its inference providers that Corral has is served',
  },
}
