#!/usr/bin/env python3
"""A made-up catalogue with people who follow each other, for the recommenders that read friends: items.csv, events.csv (with a
split) and links.csv.

    bench/make_social.py FOLDER [--homophily 0.8] [--users 3000] [--items 2000] [--seed 1]

Everybody has a taste: two of 40 genres and a few odd choices; items are popular as by Zipf's law. Everybody follows 3 to 12
others: a share `homophily` of them shares a genre, the rest are met by chance. A fifth of what is chosen comes from those
followed. One person in five is a stranger to the models: all of their events are test; of the others every fifth event is."""
import argparse, pathlib, random

GENRES = 40


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument('folder', type=pathlib.Path)
    words.add_argument('--homophily', type=float, default=0.8)
    words.add_argument('--users', type=int, default=3000)
    words.add_argument('--items', type=int, default=2000)
    words.add_argument('--seed', type=int, default=1)
    a = words.parse_args()
    r = random.Random(a.seed)
    genre = [r.randrange(GENRES) for _ in range(a.items)]
    worth = [1 / (1 + r.randrange(a.items)) ** 0.8 for _ in range(a.items)]
    by_genre = [[i for i in range(a.items) if genre[i] == g] for g in range(GENRES)]
    taste = [r.sample(range(GENRES), 2) for _ in range(a.users)]
    fans = [[u for u in range(a.users) if g in taste[u]] for g in range(GENRES)]

    def follow(u):
        there = fans[r.choice(taste[u])] if r.random() < a.homophily else range(a.users)
        return r.choice(there)

    follows = [sorted({follow(u) for _ in range(r.randint(3, 12))} - {u}) for u in range(a.users)]

    def choose(u):
        items = by_genre[r.choice(taste[u])] if r.random() < 0.7 else range(a.items)
        return r.choices(items, [worth[i] for i in items])[0]

    chosen = [[choose(u) for _ in range(r.randint(5, 30))] for u in range(a.users)]
    before = [list(one) for one in chosen]
    for u in range(a.users):
        for k in range(len(chosen[u])):
            if follows[u] and r.random() < 0.2:
                chosen[u][k] = r.choice(before[r.choice(follows[u])])
    a.folder.mkdir(parents=True, exist_ok=True)
    with open(a.folder / 'items.csv', 'w') as out:
        print('id,title', *(f'i{i},item {i}' for i in range(a.items)), sep='\n', file=out)
    with open(a.folder / 'links.csv', 'w') as out:
        print('user,to_user,type,weight', *(f'u{u},u{v},follows,1' for u in range(a.users) for v in follows[u]), sep='\n', file=out)
    with open(a.folder / 'events.csv', 'w') as out:
        print('user,item,split', file=out)
        for u in range(a.users):
            stranger = r.random() < 0.2
            for item in sorted(set(chosen[u])):
                print(f'u{u},i{item},{"test" if stranger or r.random() < 0.2 else "train"}', file=out)


if __name__ == '__main__':
    main()
