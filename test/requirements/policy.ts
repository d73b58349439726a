import type { Requirements } from './requirement.ts'

/** Who may do what (behaviour §2.4, §4). */
export const policy: Requirements = {
  'POL-1': { source: 'behaviour §4.3', when: 'several rules of access_policy apply', observed: 'the first of them decides' },
  'POL-2': { source: 'behaviour §4.3', when: 'no rule of access_policy applies', observed: 'denied' },
  'POL-3': {
    source: 'behaviour §4.3',
    when: 'authentication is off; the server itself is the principal; a caller has the same name as the server',
    observed: 'allowed; allowed; judged like any caller',
  },
  'POL-4': {
    source: 'behaviour §4.1 (a text works there only by chance)',
    when: '`actions` is one text',
    observed: 'it is that action and no other',
  },
  'POL-5': {
    source: 'behaviour §4.1',
    when: '`resource` is type::id, type::*, type::beginning*, regex:…, or absent; ids hold slashes and ::',
    observed: 'exactly what it says; a regular expression is anchored at the beginning only, as Python’s re.match',
  },
  'POL-6': {
    source: 'issue: conditions fail closed',
    when: 'an id is too long to be matched by a regular expression',
    observed: 'rules that permit do not apply, rules that forbid do',
  },
  'POL-7': { source: 'behaviour §4.1', when: 'a scope names a principal', observed: 'it is about that user alone' },
  'POL-8': {
    source: 'behaviour §4.2',
    when: 'each condition, with attributes and owners that are there, missing or empty',
    observed: 'what is missing never matches; negated forms are exact opposites',
  },
  'POL-9': {
    source: 'behaviour §4.2',
    when: 'several conditions in when, in unless',
    observed: 'all must hold; the rule applies unless all hold',
  },
  'POL-10': {
    source: 'issue: conditions fail closed',
    when: 'a forbid is conditional and the user lacks the attribute',
    observed: 'forbid unless X holds for all who do not show X; forbid when X for those who show it',
  },
  'POL-11': {
    source: 'behaviour §4.3 (the seed’s default failed open)',
    when: 'access_policy is absent or empty',
    observed: 'all actions on what is unowned, one’s own, or shares a role, team, project or namespace with its owner; nothing else',
  },
  'POL-12': {
    source: 'behaviour §4',
    when: 'any policy, user, action and resource',
    observed: 'the decision of Llama Stack’s rules, read a second time; the explanation agrees',
  },
  'POL-13': {
    source: 'behaviour §4.3',
    when: 'something that may be seen may not be done',
    observed: '403 with Llama Stack’s text, only the user’s own attributes in it',
  },
  'POL-14': { source: 'behaviour §4.1', when: 'a policy of Llama Stack’s is loaded', observed: 'it is taken as it is' },
  'POL-15': {
    source: 'behaviour §4.1, issue',
    when: 'a rule has an invalid regular expression, condition, action, resource, both or neither of permit and forbid, both when and unless',
    observed: 'a configuration error with the field’s path; "Invalid condition: …" in Llama Stack’s words',
  },
  'POL-16': {
    source: 'design §3.8, issue',
    when: 'any policy, user and rows, on SQLite and PostgreSQL',
    observed: 'the policy as SQL lets pass exactly the rows that decide() allows; with regular expressions at least those, and it says so',
  },
  'POL-17': {
    source: 'behaviour §4.4 (the seed’s upsert restamped)',
    when: 'a row is made, and changed by somebody else who may',
    observed: 'its creator owns it, with the attributes at that time; without authentication it has no owner',
  },
  'POL-18': {
    source: 'design §5',
    when: 'somebody gets, changes or deletes a row that may not be read',
    observed: '404, the same response as for a missing row; only the log has the denial',
  },
  'POL-19': { source: 'design §5', when: 'a row may be read, and not changed or deleted', observed: '403, and it stays as it is' },
  'POL-20': {
    source: 'issue: writes of keys need an explicit permit',
    when: 'a store wants an explicit permit for an action',
    observed: 'neither the default policy nor the want of authentication permits it; the server itself may',
  },
  'POL-21': {
    source: 'behaviour §4.4 defect: filtered after LIMIT',
    when: 'any policy, user and page size, regular expressions included',
    observed: 'pages are full and in order, and show each row that may be read once',
  },
  'POL-22': {
    source: 'issue',
    when: '`corral policy explain` asks about a resource or a path',
    observed: 'the decision, the rule with file and line, and why the rules before did not apply',
  },
  'POL-23': {
    source: 'issue',
    when: '`corral policy test FILE` runs cases',
    observed: 'failures with the case’s and the rule’s place, exit code 1; 0 when all pass',
  },

  'MOD-10': {
    source: 'behaviour §7 (the seed’s POST and DELETE)',
    when: 'a model is registered, used, deleted',
    observed: 'it is listed, retrieved and served under its name at once, and gone at once',
  },
  'MOD-11': {
    source: 'behaviour §7',
    when: 'llama-stack-client 0.2 registers and unregisters, OpenAI’s deletes',
    observed: 'they get what they expect',
  },
  'MOD-12': {
    source: 'behaviour §7, published contract',
    when: 'provider_id, provider_model_id, model_type or metadata are left out',
    observed: 'the only provider, the same id, llm, nothing; several providers: 400 that lists them',
  },
  'MOD-13': {
    source: 'issue: bad input',
    when: 'a registration names no such provider, an id that a path cannot carry, another provider’s prefix, too much',
    observed: '400 with param',
  },
  'MOD-14': {
    source: 'behaviour §7 complaint',
    when: 'the same is registered again; another of a name that is taken',
    observed: 'what is there; 409 that is not to be retried',
  },
  'MOD-15': {
    source: 'issue',
    when: 'several replicas share a database',
    observed: 'each sees what another registers and deletes; a restart keeps it',
  },
  'MOD-16': {
    source: 'issue',
    when: 'the database cannot be used',
    observed: 'configured and listed models go on; what may be a registered one is 503 with Retry-After',
  },
  'MOD-17': {
    source: 'issue, design §5',
    when: 'the policy does not let a model be read',
    observed: '404 by every way and spelling, in no list, counted by no ambiguity; nothing goes to the provider; the log names the rule',
  },
  'MOD-18': {
    source: 'issue',
    when: 'a model is not among a key’s',
    observed: '404 likewise, and it cannot be registered under another name',
  },
  'MOD-19': {
    source: 'behaviour §4.4',
    when: 'somebody may not create, or not delete what may be read',
    observed: '403 in Llama Stack’s words',
  },
  'MOD-20': {
    source: 'issue: infer nothing',
    when: 'two users who cannot see each other’s models use one name',
    observed: 'both succeed; who sees both gets the elder, each owner its own',
  },
  'MOD-21': {
    source: 'issue: a registered name does not bypass the policy',
    when: 'a registered model refers to one that the caller may not use',
    observed: '404, when registering and when using',
  },
  'MOD-22': {
    source: 'issue',
    when: 'a model is requested by any of its names',
    observed: 'limits and the ledger get its one id in the catalogue',
  },
  'MOD-23': {
    source: 'issue',
    when: 'any policy',
    observed: 'what is listed, what can be retrieved and what can be used are the same: what may be read',
  },

  'TEN-1': {
    source: 'issue',
    when: 'Bob does any verb to anything of Alice’s, lists, or makes one of the same name',
    observed: 'the same response as for a missing row, byte for byte up to the id; her data is unchanged',
  },
  'TEN-2': {
    source: 'design §3.8',
    when: 'a file outside of access/ writes to a table of owned rows',
    observed: 'the build fails',
  },

  'RTE-1': {
    source: 'behaviour §2.4',
    when: 'several rules of route_policy match, none does, there are none',
    observed: 'the first decides; denied; everything is open',
  },
  'RTE-2': { source: 'behaviour §2.4', when: 'paths are exact, prefix*, *, regex:…, with a slash at the end', observed: 'exactly those' },
  'RTE-3': { source: 'issue (Llama Stack has none)', when: 'a rule names methods', observed: 'it is about those; HEAD counts as GET' },
  'RTE-4': {
    source: 'issue',
    when: 'a path is written with doubled slashes or Llama Stack’s older prefix',
    observed: 'the same decision as for the plain path',
  },
  'RTE-5': {
    source: 'issue: fail closed',
    when: 'a path is too long to be matched by a regular expression',
    observed: 'not permitted by it, and forbidden',
  },
  'RTE-6': {
    source: 'behaviour §2.4',
    when: 'several conditions in when, in unless',
    observed: 'all must hold; none may hold (unlike access_policy)',
  },
  'RTE-7': {
    source: 'behaviour §2.4 defect: a conditional forbid never applied to anonymous requests',
    when: 'the principal is unknown, and a rule has conditions',
    observed: 'a permit does not apply, a forbid does',
  },
  'RTE-8': { source: 'issue', when: 'any policy, and a path in any of its spellings', observed: 'one decision' },
  'RTE-9': { source: 'behaviour §2.4', when: 'a route policy of Llama Stack’s is loaded', observed: 'it is taken as it is' },
  'RTE-10': {
    source: 'behaviour §2.4 defect: a broken forbid was skipped',
    when: 'a rule has an invalid regular expression, path, method or condition',
    observed: 'a configuration error',
  },
  'RTE-11': {
    source: 'behaviour §2.4, issue',
    when: 'a forbidden path is requested over the wire, encoded, doubled, dotted, by its older prefix',
    observed: 'never served; 403 with Llama Stack’s text where it is a route',
  },
}
