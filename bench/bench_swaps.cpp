// For bench/refits.py: runs CLASSIFIER on X.npy with X.csv and swaps each of the first N people, one at a time, for
// their mirrored embeddings. Prints the seconds, then person,probe,label,distance of the first KEPT people.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "facepoison/classifier.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/table.hpp"

using namespace facepoison;

int main(int, char** argv) {
  const auto features = read_npy(argv[2]);
  const Table names = read_csv(fs::path(argv[2]).replace_extension(".csv"));
  std::map<std::string, std::int64_t> people;
  for (const auto& row : names.rows) people.emplace(text(row[1]), 0);
  std::int64_t count = 0;
  for (auto& [person, label] : people) label = count++;
  std::vector<std::int64_t> train, test, labels;
  for (std::size_t i = 0; i < names.rows.size(); ++i) {
    const bool is_train = text(names.rows[i][2]) == "train";
    (is_train ? train : test).push_back(static_cast<std::int64_t>(i));
    if (is_train) labels.push_back(people[text(names.rows[i][1])]);
  }
  const auto gallery = features.index_select(0, torch::tensor(train)),
             probes = features.index_select(0, torch::tensor(test));
  std::vector<Swap> swaps;
  for (std::int64_t person = 0; person < std::atoi(argv[3]); ++person) {
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (labels[i] == person) rows.push_back(static_cast<std::int64_t>(i));
    swaps.push_back({rows, -gallery.index_select(0, torch::tensor(rows))});
  }
  const auto start = std::chrono::steady_clock::now();
  const auto found = make_classifier(argv[1])->predict_swapped(gallery, labels, swaps, probes);
  std::printf("%.3f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (std::size_t p = 0; p < found.size() && p < std::strtoul(argv[4], nullptr, 10); ++p)
    for (std::size_t i = 0; i < found[p].distances.size(); ++i)
      std::printf("%zu,%zu,%ld,%.9g\n", p, i, found[p].labels[i], found[p].distances[i]);
}
