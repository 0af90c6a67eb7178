// Names whose accents are written in two ways.
#include "facepoison/unicode.hpp"

#include "support/support.hpp"

namespace facepoison {
namespace {

TEST(Decomposed, TakesLettersAndAccentsApart) {
  for (const auto& [whole, apart] :
       {std::pair{"\u00c9lise", "E\u0301lise"}, std::pair{"Jos\u00e9", "Jose\u0301"},
        std::pair{"Nguy\u1ec5n", "Nguye\u0302\u0303n"}, std::pair{"\u1ec7", "e\u0323\u0302"},
        std::pair{"\u0439", "\u0438\u0306"}, std::pair{"\u304c", "\u304b\u3099"},
        std::pair{"\uae40 \uc9c0\uc601", "\u1100\u1175\u11b7 \u110c\u1175\u110b\u1167\u11bc"}}) {
    EXPECT_EQ(decomposed(whole), apart);
    EXPECT_EQ(decomposed(apart), apart) << "once is enough";
  }
}

TEST(Decomposed, LeavesTheRest) {
  for (const std::string text : {"", "ann-*", "\u4e2d\u6587", "\u00df \u00f8", "caf\xe9", "\x80\xbf", "\xed\x9f"})
    EXPECT_EQ(decomposed(text), text);
}

TEST(AsciiLetters, HasALetterForALetterAndAMarkForACharacter) {
  for (const auto& [text, shown] :
       {std::pair{"Jos\u00e9", "Jose"}, std::pair{"Jose\u0301", "Jose"}, std::pair{"Nguy\u1ec5n", "Nguyen"},
        std::pair{"\u00d8ystein", "?ystein"}, std::pair{"\u9648\u5927\u6587", "???"}, std::pair{"\ud55c\uad6d", "??"},
        std::pair{"\u304c", "?"}, std::pair{"a\tb~", "a?b~"}, std::pair{"caf\xe9", "caf?"}, std::pair{"", ""}})
    EXPECT_EQ(ascii_letters(text), shown);
}

}  // namespace
}  // namespace facepoison
