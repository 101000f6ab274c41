"""Blind sheets: melodies of people and of programs, for a reader who is not told which is which.

python -m tests.tools.blind --sources corpus prior:melody run:runs/mine --sheets 3 --out blind
python -m tests.tools.blind --score filled/sheet-*.csv --keys blind-keys

The first line writes for each sheet the melodies (sheet-1.md) and a form (sheet-1.csv) to `blind`,
which is all that a reader may see, and the keys to `blind-keys`. The second prints what the forms
say. `docs/checked.md` has the rules of the house.

corpus      held-out tunes of the folk corpus: whole strains that end as pieces do, in the key, mode
            and range of the task, one of each cluster of near-duplicates
prior:NAME  what a prior draws, `python -m agents.compose --method prior --prior NAME`
run:DIR     the agent of a run, or of a checkpoint, `python -m agents.compose DIR`
agent       the agent that ships

Behind a comma stand options of `agents.composing.Request`: method, temperature, candidates, best_of
and width. The command chooses the best of eight candidates by the rules; prior:melody,candidates=1
is the network alone.

Melodies 1, 2, ... of seed S are what the command writes with `-n 1` and `--seed S`, S + 1, ...;
near-copies of the corpus, and what is on a sheet already, are passed over. The range, G3 to A5, is
one in which tunes keep their octave and networks are hardly held back: from C4 to A5 real tunes end
on C5 three times as often as drawn ones, which gives them away.
"""
