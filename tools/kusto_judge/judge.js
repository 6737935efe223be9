// Runs KQL through Microsoft's own parser and binder (@kusto/language-service-next).
//
// Standard input:  {"commands": [{"name", "text"}], "texts": [{"name", "text"}]}
// Standard output: {"diagnostics": [{"name", "code", "severity", "message", "start", "length"}]}
//
// Commands are analysed one by one, and the schema grows after each: the binder judges a whole script against the
// schema it is given beforehand, so a table made by the script's first line would be unknown to its second.
// The texts, queries or commands, are then analysed against the schema the commands left behind.
// Nothing here knows the library: names and texts come from standard input.
'use strict';

const fs = require('fs');
const path = require('path');
const vm = require('vm');

function loadLanguage(packageDirectory) {
  // The package's main needs Bridge.NET's runtime as a global, so both files run in this context, in this order.
  for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js']) {
    const source = fs.readFileSync(path.join(packageDirectory, file), 'utf8');
    vm.runInThisContext(source, { filename: file });
  }
  return globalThis.Kusto.Language;
}

const Language = loadLanguage(process.argv[2]);
const Symbols = Language.Symbols;

function toArray(list) {
  const items = [];
  for (let i = 0; i < list.Count; i++) items.push(list.getItem(i));
  return items;
}

function typeName(node) {
  return Bridge.Reflection.getTypeName(Bridge.getType(node)).split('.').pop();
}

function children(node) {
  const found = [];
  for (let i = 0; i < node.ChildCount; i++) {
    const child = node.GetChild(i);
    if (child) found.push(child);
  }
  return found;
}

// Depth first, in the order of the text.
function* descendants(node) {
  for (const child of children(node)) {
    yield child;
    yield* descendants(child);
  }
}

// As written: the tree's own ToString drops the white space between words.
function text(source, node) {
  return source.slice(node.TextStart, node.End);
}

// Of a NameDeclaration or NameReference; understands ["quoted names"].
function nameOf(node) {
  return node.SimpleName;
}

// What the commands have made so far; a symbol table per kind.
class Schema {
  constructor() {
    this.tables = new Map();
    this.functions = new Map();
    this.views = new Map();
    this.globals = null;
  }

  current() {
    if (this.globals === null) {
      const symbols = [...this.tables.values(), ...this.functions.values(), ...this.views.values()];
      const database = new Symbols.DatabaseSymbol.$ctor1('database', symbols);
      this.globals = Language.GlobalState.Default.WithDatabase(database);
    }
    return this.globals;
  }

  put(kind, name, symbol) {
    this[kind].set(name, symbol);
    this.globals = null;
  }

  addColumns(table, columns) {
    const known = this.tables.get(table);
    const merged = new Map(known ? toArray(known.Columns).map((column) => [column.Name, column]) : []);
    for (const [name, type] of columns) {
      merged.set(name, new Symbols.ColumnSymbol(name, Symbols.ScalarTypes.GetSymbol(type)));
    }
    this.put('tables', table, new Symbols.TableSymbol.$ctor4(table, [...merged.values()]));
  }
}

function diagnostic(name, code, severity, message, start, length) {
  return { name, code, severity, message, start, length };
}

function verdict(name, analysed) {
  return toArray(analysed.GetDiagnostics())
    .filter((found) => found.Severity === 'Error' || found.Severity === 'Warning')
    .map((found) => diagnostic(name, found.Code, found.Severity, found.Message, found.Start, found.Length));
}

// `.create[-merge] table T (c:t)`, `.create[-merge] tables A (c:t), B (c:t)`, `.alter-merge table T (c:t)`.
// Not `.alter table T (c:t)`, which takes columns away.
const ADDS_COLUMNS = /^\.\s*(create|create-merge|alter-merge)\s+tables?\b/;

function growTables(schema, source, root) {
  let table = null;
  let column = null;
  const found = new Map();
  for (const node of descendants(root)) {
    if (node.NameInParent === 'TableName') {
      table = nameOf(node);
    } else if (node.NameInParent === 'ColumnName' && table !== null) {
      column = nameOf(node);
    } else if (node.NameInParent === 'ColumnType' && column !== null) {
      if (!found.has(table)) found.set(table, []);
      found.get(table).push([column, text(source, node)]);
      column = null;
    }
  }
  for (const [name, columns] of found) schema.addColumns(name, columns);
  return found.size > 0;
}

// `.create-or-alter function F(a:string) { ... }`
function growFunction(schema, source, parts) {
  const declaration = parts.find((node) => typeName(node) === 'FunctionDeclaration');
  const name = parts.find((node) => node.NameInParent === 'FunctionName');
  if (!declaration || !name) return false;
  const parameters = text(source, declaration.Parameters);
  const body = text(source, declaration.Body);
  schema.put('functions', nameOf(name), new Symbols.FunctionSymbol.$ctor16(nameOf(name), parameters, body, null));
  return true;
}

// `.create materialized-view V on table T { T | ... | summarize ... }`
function growView(schema, source, parts, complain) {
  const name = parts.find((node) => node.NameInParent === 'MaterializedViewName');
  const body = parts.find((node) => typeName(node) === 'FunctionBody');
  if (!name || !body) return false;
  const query = body.Expression;
  // The binder lets any query pass as a view's body; Kusto wants one summarize, and wants it last.
  const operators = [...descendants(query)].filter((node) => typeName(node) === 'SummarizeOperator');
  const last = typeName(query) === 'PipeExpression' ? query.Operator : query;
  if (operators.length !== 1 || last !== operators[0]) {
    complain('VIEW01', "A materialized view's query has exactly one summarize, and ends with it.", query);
  }
  const columns = query.ResultType.Columns;
  const view = new Symbols.MaterializedViewSymbol.$ctor2(nameOf(name), columns, text(source, query), null);
  schema.put('views', nameOf(name), view);
  return true;
}

// `.alter table T policy ...`, `... ingestion json mapping ...`: leave the schema as it is.
const GROWS = /^\.\s*(create|alter|drop|rename|set|append|undo|attach|detach)\b/;
const LEAVES_THE_SCHEMA = /\b(policy|mapping|docstring|folder|column-docstrings)\b/;

function grow(schema, command, analysed, diagnostics) {
  const source = command.text;
  const statement = text(source, analysed.Syntax);
  if (!GROWS.test(statement)) return;
  const parts = [...descendants(analysed.Syntax)];
  const complain = (code, message, node) =>
    diagnostics.push(diagnostic(command.name, code, 'Error', message, node.TextStart, node.Width));
  if (growFunction(schema, source, parts)) return;
  if (growView(schema, source, parts, complain)) return;
  if (ADDS_COLUMNS.test(statement) && growTables(schema, source, analysed.Syntax)) return;
  // The words before the first literal or parenthesis: a docstring may speak of policies.
  if (LEAVES_THE_SCHEMA.test(statement.split(/['"(<{]/, 1)[0])) return;
  complain('LINT01', 'This command changes the schema in a way judge.js cannot follow yet.', analysed.Syntax);
}

function judge(input) {
  const schema = new Schema();
  const diagnostics = [];
  for (const command of input.commands) {
    const analysed = Language.KustoCode.ParseAndAnalyze(command.text, schema.current());
    const found = verdict(command.name, analysed);
    diagnostics.push(...found);
    if (!found.some((each) => each.severity === 'Error')) grow(schema, command, analysed, diagnostics);
  }
  for (const query of input.texts) {
    const analysed = Language.KustoCode.ParseAndAnalyze(query.text, schema.current());
    diagnostics.push(...verdict(query.name, analysed));
  }
  return { diagnostics };
}

const input = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(judge(input)));
