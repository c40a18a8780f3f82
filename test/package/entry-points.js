// Prints what each entry point exports: { ".": ["Actor", ...], "./testing": [...] }.
const names = {};
for (const entry of process.argv.slice(2)) names[entry] = Object.keys(await import(`troupe${entry.slice(1)}`));
process.stdout.write(JSON.stringify(names));
